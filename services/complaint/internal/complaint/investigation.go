package complaint

import (
	"slices"

	"github.com/google/uuid"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Findings checks what an investigation's fields demand of each other.
func Findings(i *complaintv1.Investigation) error {
	if err := Money("investigation.loss", i.GetLoss()); err != nil {
		return err
	}
	if i.GetLoss() != nil && !slices.Contains(i.GetConsequences(), complaintv1.Consequence_CONSEQUENCE_LOSS) {
		return rpcerr.Invalid("investigation.loss", rpcerr.T(
			"it is given though the consequences name no loss; add the consequence or leave it out",
			"后果中未列明损失，不应填写；请补充该后果或留空"))
	}
	return nil
}

// Measures demands what quality control does about a fault of quality.
func Measures(i *complaintv1.Inspection) error {
	if i.GetQuality() == complaintv1.Quality_QUALITY_QUALITY && i.GetMeasures() == "" {
		return rpcerr.Invalid("inspection.measures", rpcerr.T(
			"it is empty though the complaint is of quality; say what quality control does about it",
			"质量问题须填写质检部的措施"))
	}
	return nil
}

// Inspector refuses whoever handles the complaint: nobody confirms their own work.
func Inspector(c Caller, handler uuid.UUID) error {
	if handler == uuid.Nil || c.Staff != handler {
		return nil
	}
	return refuse(ReasonInspectorHandles, ClauseInspector, rpcerr.T(
		"You handle this complaint, so another inspector confirms its quality.",
		"该投诉由您处理，须由其他质检员确认。"))
}

// Confirmed refuses to go on with a complaint of quality that quality control has not
// confirmed in the round.
func Confirmed(q complaintv1.Quality, inspected bool) error {
	if q != complaintv1.Quality_QUALITY_QUALITY || inspected {
		return nil
	}
	return refuse(ReasonQualityUnconfirmed, ClauseQuality, rpcerr.T(
		"The complaint is of product quality and quality control has not confirmed it in this round; a solution is proposed after that.",
		"该投诉属质量问题，本轮尚未经质检部确认；确认后方可提出解决方案。"))
}

// Ancestry checks that a cause is not put below itself. parents gives the cause above each.
func Ancestry(cause, parent uuid.UUID, parents map[uuid.UUID]uuid.UUID) error {
	for at, steps := parent, 0; at != uuid.Nil && steps <= len(parents); at, steps = parents[at], steps+1 {
		if at == cause {
			return rpcerr.WrongState("CAUSE_CYCLE", rpcerr.T(
				"Cause %[1]s would stand below itself; give a parent that is not below it.",
				"原因 %[1]s 将成为自身的下级；请选择不在其下的上级原因。", cause))
		}
	}
	return nil
}
