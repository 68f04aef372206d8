package campaign

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/google/uuid"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

// Rank is a customer's place in the draw of a wave, the same for the same seed whoever else is
// in the audience and in which order they come: the lowest ranks are drawn. It is never negative.
func Rank(seed int64, wave int32, customer uuid.UUID) int64 {
	in := binary.BigEndian.AppendUint64(nil, uint64(seed))
	in = binary.BigEndian.AppendUint32(in, uint32(wave))
	sum := sha256.Sum256(append(in, customer[:]...))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 1)
}

// Sizes gives how many of each tier a stratified sample draws, of an audience that has so many.
func Sizes(s *surveyv1.StratifiedSample, audience map[int16]int64) map[int16]int64 {
	out := map[int16]int64{}
	if s.GetTotal() == 0 {
		for _, size := range s.GetSizes() {
			tier := int16(size.GetTier())
			out[tier] = min(int64(size.GetSize()), audience[tier])
		}
		return out
	}
	return parted(int64(s.GetTotal()), audience)
}

// parted parts a total as the audience is, by largest remainders, and gives at least one to each
// tier that has any as far as the total goes.
func parted(total int64, audience map[int16]int64) map[int16]int64 {
	var all int64
	for _, n := range audience {
		all += n
	}
	total = min(total, all)
	out := map[int16]int64{}
	if total == 0 {
		return out
	}
	// Larger tiers first, of equals the higher one.
	tiers := slices.SortedFunc(maps.Keys(audience), func(a, b int16) int {
		return cmp.Or(cmp.Compare(audience[b], audience[a]), cmp.Compare(b, a))
	})
	left := total
	for _, tier := range tiers {
		out[tier] = audience[tier] * total / all
		left -= out[tier]
	}
	byRemainder := slices.SortedStableFunc(slices.Values(tiers), func(a, b int16) int {
		return cmp.Compare(audience[b]*total%all, audience[a]*total%all)
	})
	for _, tier := range byRemainder {
		if left > 0 && out[tier] < audience[tier] {
			out[tier]++
			left--
		}
	}
	for _, tier := range tiers {
		if out[tier] == 0 && audience[tier] > 0 && out[tiers[0]] > 1 {
			out[tier]++
			out[tiers[0]]--
		}
	}
	return out
}
