package server

import (
	"context"
	"fmt"

	"google.golang.org/genproto/googleapis/api/httpbody"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/services/survey/internal/report"
)

// ExportAnalysis writes an analysis as a file in the caller's language.
func (s *Server) ExportAnalysis(ctx context.Context, req *surveyv1.ExportAnalysisRequest) (*httpbody.HttpBody, error) {
	a, err := s.analyze(ctx, req.GetAnalysis())
	if err != nil {
		return nil, err
	}
	write, kind := report.CSV, "text/csv; charset=utf-8"
	if req.GetFormat() == surveyv1.ExportFormat_EXPORT_FORMAT_XLSX {
		write, kind = report.XLSX, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	}
	file, err := write(a.plan, a.result, rpc.Language(ctx))
	if err != nil {
		return nil, fmt.Errorf("export analysis of %s: %w", a.result.GetQuestionnaireId(), err)
	}
	return &httpbody.HttpBody{ContentType: kind, Data: file}, nil
}
