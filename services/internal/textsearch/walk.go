package textsearch

const (
	// newest is how many things are read one by one before the index is asked. What one in
	// twenty has fills a page from them. What none of the first few of them has is rarer than
	// that, and the rest of them is not read.
	newest, newestFew = 1024, 256
	// SpanBits make a span: an index by which Walk is read begins with position >> SpanBits.
	SpanBits = 14
	// fewRows are read as a whole in less time than another step takes.
	fewRows = 200
	// rareGrams are more than a word of everyday has.
	rareGrams = 4
)

// steps are how many spans, going back, the index is asked for at a time. What is had by many
// is found in the first, and what they have little of may be rare enough to be read as a whole.
func steps() []int64 { return []int64{2, 8, 32} }

// Part is what one reading of a Walk looks at: the positions from Since to below Before.
type Part struct {
	Before, Since int64
	// Spans are those that the part consists of, where the index is to be asked for them; nil
	// where it is to be asked for all below Before.
	Spans []int64
	// Indexed is false where the things are to be read one by one.
	Indexed bool
	// Count is how many are wanted, the newest.
	Count int
}

// Walk finds count things with a text, the newest first, among those below a position. Common
// texts are found among the newest, rare ones by the index; between the two the index is
// asked for spans of things, so that nobody reads all that have a text to show a page. grams
// are how many terms the index has of the text. read gives how many it found of a part.
func Walk(before int64, grams, count int, read func(Part) (found int, err error)) error {
	w := walk{before: before, missing: count, read: read}
	if err := w.walk(newestFew); err != nil {
		return err
	}
	found := count - w.missing
	if found > 0 && !w.done() {
		if err := w.walk(newest - newestFew); err != nil {
			return err
		}
	}
	// A long text that none of the newest has is rare.
	rare := found == 0 && grams >= rareGrams
	for _, n := range steps() {
		if w.done() {
			return nil
		}
		if rare || w.few() {
			break
		}
		if err := w.spans(n); err != nil {
			return err
		}
	}
	if w.done() {
		return nil
	}
	return w.part(Part{Indexed: true})
}

// walk is a search on its way back from before.
type walk struct {
	before  int64
	missing int
	read    func(Part) (int, error)
	// asked are how many spans the index was asked for, hits what they had.
	asked, hits int64
}

func (w *walk) done() bool { return w.missing <= 0 || w.before <= 1 }

// few tells whether what is left may be read as a whole, going by what the spans before had.
func (w *walk) few() bool {
	return w.asked > 0 && (w.hits+1)*(w.before>>SpanBits) <= fewRows*w.asked
}

// walk looks at the next n things one by one.
func (w *walk) walk(n int64) error { return w.part(Part{Since: max(0, w.before-n)}) }

// spans asks the index for n spans going back.
func (w *walk) spans(n int64) error {
	top := (w.before - 1) >> SpanBits
	floor := max(0, top-n+1)
	list := make([]int64, 0, n)
	for span := top; span >= floor; span-- {
		list = append(list, span)
	}
	missing := w.missing
	err := w.part(Part{Since: floor << SpanBits, Spans: list, Indexed: true})
	w.asked, w.hits = w.asked+int64(len(list)), w.hits+int64(missing-w.missing)
	return err
}

func (w *walk) part(p Part) error {
	p.Before, p.Count = w.before, w.missing
	found, err := w.read(p)
	w.missing, w.before = w.missing-found, p.Since
	return err
}
