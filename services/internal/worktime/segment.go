package worktime

import (
	"fmt"
	"slices"
	"time"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Kind says why a piece of time counts or does not.
type Kind string

// The kinds of pieces. Working and MakeUp count, the others do not.
const (
	// Working is an interval of an ordinary day.
	Working Kind = "working"
	// MakeUp is an interval of a date listed as workday, with its name.
	MakeUp Kind = "makeup_workday"
	// Lunch lies between two intervals of one day.
	Lunch Kind = "lunch"
	// OutsideHours lies before or after the hours of a working day.
	OutsideHours Kind = "outside_hours"
	// DayOff is a weekday without hours.
	DayOff Kind = "day_off"
	// OnHoliday is a date listed as holiday, with its name.
	OnHoliday Kind = "holiday"
	// Paused lies in a pause, with its name, whatever the calendar says of it.
	Paused Kind = "paused"
)

// Segment is a piece [Start, End) of time, in UTC, of one kind.
type Segment struct {
	Start, End time.Time
	Kind       Kind
	Counted    bool
	// Name is that of the holiday, the make-up workday or the pause.
	Name Name
}

// Pause is a time [Start, End) that does not count. Name may say why.
type Pause struct {
	Start, End time.Time
	Name       Name
}

// piece is a segment in nanoseconds. pause is the number of the pause it comes from, -1
// without one.
type piece struct {
	from, to int64
	kind     Kind
	name     Name
	pause    int
}

// Segments cuts the time from one instant to another into pieces: in order, without gaps,
// each of positive length, neighbours of one kind and name joined, so that their lengths add
// up to the whole and those that count to the working time that no pause holds. A pause is
// one piece whatever lies under it; pauses that overlap are joined under the first one's
// name, pauses that touch stay apart. Refused are an end before the start, a pause that ends
// before it starts, and instants outside the supported years. The pieces grow with the
// distance: about four a day.
func (c *Calendar) Segments(from, to time.Time, pauses ...Pause) ([]Segment, error) {
	a, err := instant("start", from)
	if err != nil {
		return nil, err
	}
	b, err := instant("end", to)
	if err != nil {
		return nil, err
	}
	if b < a {
		return nil, rpcerr.Invalid("end", endFirst(from, to))
	}
	holds, err := joined(pauses)
	if err != nil {
		return nil, err
	}
	return segments(overlay(c.pieces(a, b), holds)), nil
}

func endFirst(start, end time.Time) rpcerr.Text {
	return rpcerr.T("%[1]s is before the start at %[2]s; give the same instant or a later one",
		"%[1]s 早于开始时间 %[2]s；请填写相同或更晚的时刻", end.UTC().Format(time.RFC3339), start.UTC().Format(time.RFC3339))
}

func segments(pieces []piece) []Segment {
	out := make([]Segment, len(pieces))
	for i, p := range pieces {
		out[i] = Segment{timeOf(p.from), timeOf(p.to), p.kind, p.kind == Working || p.kind == MakeUp, p.name}
	}
	return out
}

// ribbon collects pieces from left to right and joins equal neighbours.
type ribbon struct {
	from, to int64
	pieces   []piece
}

func (r *ribbon) add(p piece) {
	p.from, p.to = max(p.from, r.from), min(p.to, r.to)
	if p.from >= p.to {
		return
	}
	if n := len(r.pieces); n > 0 {
		if last := &r.pieces[n-1]; last.kind == p.kind && last.name == p.name && last.pause == p.pause {
			last.to = p.to
			return
		}
	}
	r.pieces = append(r.pieces, p)
}

// pieces says of every moment between two instants what the calendar holds there.
func (c *Calendar) pieces(from, to int64) []piece {
	r := ribbon{from: from, to: to}
	tab := c.at(from)
	// A shift reaches into the day after its own, and the wall clock may be set back by one.
	d := int(floorDiv(tab.zone.wall(from), day)) - 2
	done := tab.zone.first(int64(d) * day)
	// rest says what the time of a date is, up to an instant, in which nobody works.
	rest := func(d int, until int64) {
		if done >= until {
			return
		}
		p := piece{done, until, c.off(d), Name{}, -1}
		if p.kind == OnHoliday {
			p.name = c.days[d].name
		}
		r.add(p)
		done = until
	}
	for ; done < to; d++ {
		if y := dateOf(d).Year; y != tab.year {
			tab = c.table(y)
		}
		next := tab.zone.first(int64(d+1) * day)
		for i, s := range c.shift(tab.zone, d, nil) {
			if i > 0 {
				r.add(piece{done, s.open, Lunch, Name{}, -1})
			} else {
				// A zone may skip a date, or the hours it begins with: what is left of its
				// shift lies on the next date.
				rest(d, min(s.open, next))
				rest(d+1, s.open)
			}
			if s.makeUp {
				r.add(piece{s.open, s.close, MakeUp, c.days[d].name, -1})
			} else {
				r.add(piece{s.open, s.close, Working, Name{}, -1})
			}
			done = s.close
		}
		rest(d, next)
	}
	return r.pieces
}

// off says what the time of a day is in which nobody works.
func (c *Calendar) off(d int) Kind {
	if c.days[d].kind == Holiday {
		return OnHoliday
	}
	if hours, _ := c.hours(d); len(hours) == 0 {
		return DayOff
	}
	return OutsideHours
}

// joined orders pauses, joins those that overlap and drops empty ones.
func joined(pauses []Pause) ([]piece, error) {
	all := make([]piece, 0, len(pauses))
	for i, p := range pauses {
		from, err := instant(fmt.Sprintf("pauses[%d].start", i), p.Start)
		if err != nil {
			return nil, err
		}
		to, err := instant(fmt.Sprintf("pauses[%d].end", i), p.End)
		if err != nil {
			return nil, err
		}
		if to < from {
			return nil, rpcerr.Invalid(fmt.Sprintf("pauses[%d].end", i), endFirst(p.Start, p.End))
		}
		if from < to {
			all = append(all, piece{from, to, Paused, p.Name, i})
		}
	}
	slices.SortStableFunc(all, func(a, b piece) int {
		if a.from != b.from {
			return int(min(1, max(-1, a.from-b.from)))
		}
		return 0
	})
	out := all[:0]
	for _, p := range all {
		if n := len(out); n > 0 && p.from < out[n-1].to {
			out[n-1].to = max(out[n-1].to, p.to)
			continue
		}
		out = append(out, p)
	}
	return out, nil
}

// overlay puts pauses, in order and apart, over pieces.
func overlay(pieces, pauses []piece) []piece {
	if len(pauses) == 0 || len(pieces) == 0 {
		return pieces
	}
	r := ribbon{from: pieces[0].from, to: pieces[len(pieces)-1].to}
	for _, p := range pieces {
		for len(pauses) > 0 && pauses[0].from < p.to {
			hold := pauses[0]
			before, under := p, p
			before.to = hold.from
			under.from, under.to = max(p.from, hold.from), min(p.to, hold.to)
			r.add(before)
			if under.from < under.to {
				r.add(piece{under.from, under.to, Paused, hold.name, hold.pause})
			}
			p.from = max(p.from, hold.to)
			if hold.to > p.to {
				break
			}
			pauses = pauses[1:]
		}
		r.add(p)
	}
	return r.pieces
}
