package server

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/department"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
)

// CreateStation adds a service station.
func (s *Server) CreateStation(ctx context.Context, req *ticketv1.CreateStationRequest) (*ticketv1.Station, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	now := s.now()
	row := &db.Station{ID: id, CreateTime: now, UpdateTime: now, Version: 1}
	if err := fillStation(row, req.GetStation()); err != nil {
		return nil, err
	}
	out, err := write.DoBatch(ctx, s.write, req, func(ctx context.Context, tx *write.BatchTx) (*ticketv1.Station, error) {
		return stationChanged(&tx.Record, row), s.q.InsertStation(ctx, tx, db.InsertStationParams{
			ID: id, Code: row.Code, NameZh: row.NameZh, NameEn: row.NameEn, DepartmentID: row.DepartmentID,
			Latitude: row.Latitude, Longitude: row.Longitude, Closed: row.Closed, CreateTime: now,
		})
	})
	return out, stationRefused(err, row)
}

// GetStation returns a service station.
func (s *Server) GetStation(ctx context.Context, req *ticketv1.GetStationRequest) (*ticketv1.Station, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetStation(ctx, s.pool, id)
	if err != nil {
		return nil, missing(err, "station", id)
	}
	return stationProto(&row), nil
}

// missing says of a row that is not there that nothing has its id.
func missing(err error, kind string, id uuid.UUID) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return rpcerr.NotFound(kind, id.String())
	}
	return fmt.Errorf("read %s: %w", kind, err)
}

// UpdateStation changes named fields.
func (s *Server) UpdateStation(ctx context.Context, req *ticketv1.UpdateStationRequest) (*ticketv1.Station, error) {
	id, err := parseID("station.id", req.GetStation().GetId())
	if err != nil {
		return nil, err
	}
	row := new(db.Station)
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Station, error) {
		held, err := s.q.LockStation(ctx, tx, id)
		if err != nil {
			return nil, missing(err, "station", id)
		}
		*row = held
		if err := current(req.GetStation().GetEtag(), row.Version, "station", id); err != nil {
			return nil, err
		}
		merged := stationProto(row)
		if err := s.merge(merged, req.GetStation(), req.GetUpdateMask(), &ticketv1.CreateStationRequest{Station: merged}); err != nil {
			return nil, err
		}
		if err := fillStation(row, merged); err != nil {
			return nil, err
		}
		row.UpdateTime, row.Version = s.now(), row.Version+1
		if err := s.q.UpdateStation(ctx, tx, db.UpdateStationParams{
			ID: id, Code: row.Code, NameZh: row.NameZh, NameEn: row.NameEn, DepartmentID: row.DepartmentID,
			Latitude: row.Latitude, Longitude: row.Longitude, Closed: row.Closed, UpdateTime: row.UpdateTime, Version: row.Version,
		}); err != nil {
			return nil, fmt.Errorf("update station: %w", err)
		}
		return stationChanged(&tx.Record, row), nil
	})
	return out, stationRefused(err, row)
}

// merge writes the named fields to what is kept and checks the whole by the rules of a new
// one, which create holds, with the paths of the request.
func (s *Server) merge(kept, given proto.Message, named *fieldmaskpb.FieldMask, create proto.Message) error {
	if err := fieldmask.Apply(kept, given, named, "id"); err != nil {
		return err
	}
	return rpc.Check(s.validator, create)
}

// ListStations lists service stations in the order they were added.
func (s *Server) ListStations(ctx context.Context, req *ticketv1.ListStationsRequest) (*ticketv1.ListStationsResponse, error) {
	rows, next, err := byID(ctx, s, req, "stations", func(r db.Station) uuid.UUID { return r.ID }, func(after uuid.UUID, size int32) ([]db.Station, error) {
		return s.q.ListStations(ctx, s.pool, after, size)
	})
	out := &ticketv1.ListStationsResponse{NextPageToken: next}
	for i := range rows {
		out.Stations = append(out.Stations, stationProto(&rows[i]))
	}
	return out, err
}

// FindNearestStation tells which open station is nearest to a place.
func (s *Server) FindNearestStation(ctx context.Context, req *ticketv1.FindNearestStationRequest) (*ticketv1.NearestStation, error) {
	rows, err := s.q.ListOpenStations(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("read stations: %w", err)
	}
	best, least := -1, math.Inf(1)
	for i := range rows {
		if d := organisation.Distance(req.GetLatitude(), req.GetLongitude(), rows[i].Latitude, rows[i].Longitude); d < least {
			best, least = i, d
		}
	}
	if best < 0 {
		return nil, rpcerr.NotFound("station", "nearest")
	}
	return &ticketv1.NearestStation{Station: stationProto(&rows[best]), DistanceKm: math.Round(least*10) / 10}, nil
}

func stationChanged(record *write.Record, row *db.Station) *ticketv1.Station {
	out := stationProto(row)
	record.Emit(event.Event{
		Type: "station.changed.v1", SubjectID: row.ID, SubjectVersion: row.Version, OccurTime: row.UpdateTime,
		Payload: &ticketv1.StationChanged{Station: out},
	})
	record.Audit("station", row.ID, out)
	return out
}

func stationRefused(err error, row *db.Station) error {
	switch {
	case pg.Violates(err, "stations_code_key"):
		return rpcerr.Exists("station", "code", row.Code)
	case pg.Violates(err, "stations_department_id_fkey"):
		return unknownDepartment("station.department_id", idValue(row.DepartmentID))
	}
	return err
}

func fillStation(row *db.Station, in *ticketv1.Station) error {
	if err := department.CheckName("station.name", in.GetName()); err != nil {
		return err
	}
	of, err := parseOptional("station.department_id", in.GetDepartmentId())
	if err != nil {
		return err
	}
	row.Code, row.NameZh, row.NameEn, row.DepartmentID = in.GetCode(), in.GetName().GetZh(), in.GetName().GetEn(), idPtr(of)
	row.Latitude, row.Longitude, row.Closed = in.GetLatitude(), in.GetLongitude(), in.GetClosed()
	return nil
}

func stationProto(row *db.Station) *ticketv1.Station {
	return &ticketv1.Station{
		Id: row.ID.String(), Code: row.Code, Name: &typev1.Text{Zh: row.NameZh, En: row.NameEn},
		DepartmentId: idString(row.DepartmentID), Latitude: row.Latitude, Longitude: row.Longitude, Closed: row.Closed,
		CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime), Etag: etag(row.Version),
	}
}
