package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
	"github.com/kefu-suite/kefu/services/survey/internal/campaign"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
)

// CreateCampaign begins a draft.
func (s *Server) CreateCampaign(ctx context.Context, req *surveyv1.CreateCampaignRequest) (*surveyv1.Campaign, error) {
	content, err := s.campaignContent(ctx, req.GetCampaign())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.Campaign, error) {
		id, err := newID()
		if err != nil {
			return nil, err
		}
		now := s.moment()
		row := db.Campaign{ID: id, State: int16(campaign.Draft), Creator: authn.FromContext(ctx).Actor(), CreateTime: now, UpdateTime: now, Version: 1}
		if row.Content, err = protojson.Marshal(content); err != nil {
			return nil, fmt.Errorf("encode campaign: %w", err)
		}
		err = s.queries.InsertCampaign(ctx, tx, db.InsertCampaignParams{ID: id, Content: row.Content, Creator: row.Creator, CreateTime: now})
		if err != nil {
			return nil, fmt.Errorf("insert campaign: %w", err)
		}
		return recordCampaign(tx, row, "")
	})
}

// campaignContent checks what a caller sets and completes it, with a seed where one is needed.
func (s *Server) campaignContent(ctx context.Context, given *surveyv1.Campaign) (*surveyv1.Campaign, error) {
	content := campaign.Content(given)
	if faults := campaign.Check(content); len(faults) > 0 {
		return nil, faulty(codes.InvalidArgument, rpcerr.ReasonValidation, "campaign.", rpcerr.T("The request is not valid", "请求无效"), faults)
	}
	id, err := parse("campaign.questionnaire_id", content.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	if _, err := s.queries.GetQuestionnaire(ctx, s.pool, id); errors.Is(err, pgx.ErrNoRows) {
		return nil, rpcerr.Invalid("campaign.questionnaire_id", rpcerr.T("there is no questionnaire %[1]s; give the id of one.", "没有问卷 %[1]s；请填写已有问卷的 id。", id))
	} else if err != nil {
		return nil, fmt.Errorf("read questionnaire: %w", err)
	}
	if content.GetSampling() != nil && content.GetSampling().GetSeed() == 0 {
		// Up to 2^53 - 1, which JSON keeps exactly.
		content.Sampling.Seed = 1 + rand.Int64N(1<<53-1)
	}
	return content, nil
}

// recordCampaign says what a campaign is now.
func recordCampaign(tx *write.Tx, row db.Campaign, reason string) (*surveyv1.Campaign, error) {
	out, err := campaignOf(row)
	if err != nil {
		return nil, err
	}
	tx.Emit(event.Event{
		Type: "campaign.changed.v1", SubjectID: row.ID, SubjectVersion: row.Version,
		Payload: &surveyv1.CampaignChanged{State: campaignWord(campaign.State(row.State)), Wave: row.Wave, QuestionnaireId: out.GetQuestionnaireId()},
	})
	tx.Audit("campaign", row.ID, struct {
		Campaign *surveyv1.Campaign
		Reason   string
	}{out, reason})
	return out, nil
}

func campaignWord(state campaign.State) string {
	return strings.ToLower(strings.TrimPrefix(state.String(), "CAMPAIGN_STATE_"))
}

func campaignOf(row db.Campaign) (*surveyv1.Campaign, error) {
	out := new(surveyv1.Campaign)
	if err := protojson.Unmarshal(row.Content, out); err != nil {
		return nil, fmt.Errorf("decode stored campaign: %w", err)
	}
	out.Id, out.State, out.Wave, out.NextTime = row.ID.String(), campaign.State(row.State), row.Wave, instant(row.NextTime)
	out.Creator, out.Etag = row.Creator, etag(row.Version)
	out.CreateTime, out.UpdateTime = timestamppb.New(row.CreateTime), timestamppb.New(row.UpdateTime)
	return out, nil
}

// GetCampaign gives a campaign.
func (s *Server) GetCampaign(ctx context.Context, req *surveyv1.GetCampaignRequest) (*surveyv1.Campaign, error) {
	id, err := parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.queries.GetCampaign(ctx, s.pool, id)
	if row, err = foundCampaign(row, err, id); err != nil {
		return nil, err
	}
	return campaignOf(row)
}

func foundCampaign(row db.Campaign, err error, id uuid.UUID) (db.Campaign, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return row, rpcerr.NotFound("campaign", id.String())
	}
	if err != nil {
		return row, fmt.Errorf("read campaign: %w", err)
	}
	return row, nil
}

// ListCampaigns gives campaigns, the newest first.
func (s *Server) ListCampaigns(ctx context.Context, req *surveyv1.ListCampaignsRequest) (*surveyv1.ListCampaignsResponse, error) {
	before, err := s.before(ctx, req)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.queries.ListCampaigns(ctx, s.pool, before, size+1)
	if err != nil {
		return nil, fmt.Errorf("list campaigns: %w", err)
	}
	out := new(surveyv1.ListCampaignsResponse)
	rows, out.NextPageToken, err = cut(ctx, s.pages, req, rows, size, func(r db.Campaign) uuid.UUID { return r.ID })
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		c, err := campaignOf(row)
		if err != nil {
			return nil, err
		}
		out.Campaigns = append(out.Campaigns, c)
	}
	return out, nil
}

// UpdateCampaign changes a draft.
func (s *Server) UpdateCampaign(ctx context.Context, req *surveyv1.UpdateCampaignRequest) (*surveyv1.Campaign, error) {
	id, err := parse("campaign.id", req.GetCampaign().GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.Campaign, error) {
		row, err := s.lockCampaign(ctx, tx, id, req.GetCampaign().GetEtag(), campaign.Change)
		if err != nil {
			return nil, err
		}
		now, err := campaignOf(row)
		if err != nil {
			return nil, err
		}
		before := campaign.Content(now)
		if err := fieldmask.Apply(now, req.GetCampaign(), req.GetUpdateMask(), "id"); err != nil {
			return nil, err
		}
		if err := rpc.Check(s.validator, &surveyv1.CreateCampaignRequest{Campaign: now}); err != nil {
			return nil, err
		}
		content, err := s.campaignContent(ctx, now)
		if err != nil {
			return nil, err
		}
		if proto.Equal(before, content) {
			tx.Unchanged()
			return campaignOf(row)
		}
		if row.Content, err = protojson.Marshal(content); err != nil {
			return nil, fmt.Errorf("encode campaign: %w", err)
		}
		return s.storeCampaign(ctx, tx, row, "")
	})
}

// lockCampaign gives the locked row if the verb is possible now.
func (s *Server) lockCampaign(ctx context.Context, tx *write.Tx, id uuid.UUID, tag string, verb campaign.Verb) (db.Campaign, error) {
	row, err := s.queries.LockCampaign(ctx, tx, id)
	if row, err = foundCampaign(row, err, id); err != nil {
		return row, err
	}
	if tag != "" && tag != etag(row.Version) {
		return row, rpcerr.Stale("campaign", id.String())
	}
	state := campaign.State(row.State)
	if _, possible := campaign.Next(state, verb, row.Open, false); !possible {
		return row, rpcerr.WrongState("CAMPAIGN_WRONG_STATE", rpcerr.T(
			"The campaign %[1]s is %[2]s; only a draft is changed and scheduled, only a scheduled or sending one paused, only a paused one resumed, and an ended one stays so.",
			"调查活动 %[1]s 的状态为 %[2]s；只有草稿可以修改和排期，只有已排期或发送中的可以暂停，只有已暂停的可以恢复，已结束的不再改变。",
			id, campaignWord(state))).With("state", campaignWord(state))
	}
	return row, nil
}

// storeCampaign writes a locked campaign and says so.
func (s *Server) storeCampaign(ctx context.Context, tx *write.Tx, row db.Campaign, reason string) (*surveyv1.Campaign, error) {
	row.UpdateTime, row.Version = s.moment(), row.Version+1
	err := s.queries.UpdateCampaign(ctx, tx, db.UpdateCampaignParams{
		ID: row.ID, Content: row.Content, State: row.State, Wave: row.Wave, Open: row.Open, NextTime: row.NextTime, UpdateTime: row.UpdateTime,
	})
	if err != nil {
		return nil, fmt.Errorf("update campaign: %w", err)
	}
	return recordCampaign(tx, row, reason)
}

// ScheduleCampaign makes a draft ready.
func (s *Server) ScheduleCampaign(ctx context.Context, req *surveyv1.ScheduleCampaignRequest) (*surveyv1.Campaign, error) {
	id, err := parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.queries.GetCampaign(ctx, s.pool, id)
	if row, err = foundCampaign(row, err, id); err != nil {
		return nil, err
	}
	asked, err := campaignOf(row)
	if err != nil {
		return nil, err
	}
	if err := s.segmentExists(ctx, asked.GetSegmentId()); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.Campaign, error) {
		row, err := s.lockCampaign(ctx, tx, id, req.GetEtag(), campaign.Schedule)
		if err != nil {
			return nil, err
		}
		now, err := campaignOf(row)
		if err != nil {
			return nil, err
		}
		if now.GetSegmentId() != asked.GetSegmentId() {
			return nil, rpcerr.Stale("campaign", id.String()) // changed since its segment was looked for
		}
		questionnaireID, err := uuid.Parse(now.GetQuestionnaireId())
		if err != nil {
			return nil, fmt.Errorf("questionnaire of campaign %s: %w", id, err)
		}
		if _, err := s.lastVersion(ctx, tx, questionnaireID); err != nil {
			return nil, err
		}
		start := now.GetStartTime().AsTime()
		row.State, row.NextTime = int16(campaign.Scheduled), &start
		return s.storeCampaign(ctx, tx, row, "")
	})
}

// segmentExists asks the registry for the first members of a segment.
func (s *Server) segmentExists(ctx context.Context, segmentID string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.audience.StreamSegmentMembers(ctx, &customerv1.StreamSegmentMembersRequest{Id: segmentID})
	if err == nil {
		_, err = stream.Recv()
	}
	switch code := status.Code(err); {
	case err == nil || ended(err):
		return nil
	case code == codes.NotFound:
		return rpcerr.Invalid("segment_id", rpcerr.T("there is no segment %[1]s; give the campaign one of the customer registry.",
			"客户资料中没有分组 %[1]s；请为调查活动选择已有分组。", segmentID))
	case code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.ResourceExhausted || code == codes.Canceled:
		return rpcerr.Unavailable(customerref.Source)
	}
	return fmt.Errorf("look for segment: %w", err)
}

// named is the request of a move.
type named interface {
	write.Request
	GetId() string
	GetEtag() string
}

// PauseCampaign holds a campaign.
func (s *Server) PauseCampaign(ctx context.Context, req *surveyv1.PauseCampaignRequest) (*surveyv1.Campaign, error) {
	return s.moveCampaign(ctx, req, campaign.Pause)
}

// ResumeCampaign goes on with a paused campaign.
func (s *Server) ResumeCampaign(ctx context.Context, req *surveyv1.ResumeCampaignRequest) (*surveyv1.Campaign, error) {
	return s.moveCampaign(ctx, req, campaign.Resume)
}

// StopCampaign ends a campaign.
func (s *Server) StopCampaign(ctx context.Context, req *surveyv1.StopCampaignRequest) (*surveyv1.Campaign, error) {
	return s.moveCampaign(ctx, req, campaign.Stop)
}

func (s *Server) moveCampaign(ctx context.Context, req named, verb campaign.Verb) (*surveyv1.Campaign, error) {
	id, err := parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.Campaign, error) {
		row, err := s.lockCampaign(ctx, tx, id, req.GetEtag(), verb)
		if err != nil {
			return nil, err
		}
		next, _ := campaign.Next(campaign.State(row.State), verb, row.Open, false)
		row.State = int16(next)
		if verb == campaign.Stop {
			row.NextTime = nil
			if row.Open {
				// From the first member on, what is pending is revoked.
				if err := s.queries.AdvanceWave(ctx, tx, nil, id, row.Wave); err != nil {
					return nil, fmt.Errorf("go back to the first member: %w", err)
				}
			}
		}
		return s.storeCampaign(ctx, tx, row, "")
	})
}
