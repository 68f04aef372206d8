package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"

	"github.com/xuri/excelize/v2"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/cell"
)

// CSV writes an analysis as one table, its first column the part that a row belongs to. It
// begins with a byte order mark, without which spreadsheets misread Chinese.
func CSV(plan *Plan, a *surveyv1.Analysis, language string) ([]byte, error) {
	out := bytes.NewBufferString("\ufeff")
	w := csv.NewWriter(out)
	w.UseCRLF = true
	records := [][]string{append([]string{rpcerr.Text{EN: "Part", ZH: "部分"}.In(language)}, columns(language)...)}
	for _, r := range rowsOf(plan, a, language) {
		record := []string{r.section.title(language)}
		for _, value := range r.cells() {
			record = append(record, written(value))
		}
		records = append(records, record)
	}
	if err := w.WriteAll(records); err != nil {
		return nil, fmt.Errorf("write CSV: %w", err)
	}
	return out.Bytes(), nil
}

// written writes a cell. A text that a spreadsheet would take for a formula is marked as text.
func written(value any) string {
	switch v := value.(type) {
	case string:
		return cell.Guard(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case int64:
		return strconv.FormatInt(v, 10)
	default:
		return ""
	}
}

// XLSX writes an analysis as a workbook, each part a sheet; parts without rows have none.
func XLSX(plan *Plan, a *surveyv1.Analysis, language string) ([]byte, error) {
	book := excelize.NewFile()
	defer func() { _ = book.Close() }()
	bold, err := book.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	if err != nil {
		return nil, fmt.Errorf("make style: %w", err)
	}
	rows := rowsOf(plan, a, language)
	for part := range sections {
		if err := writeSheet(book, part, rows, language, bold); err != nil {
			return nil, fmt.Errorf("write sheet %s: %w", part.title(language), err)
		}
	}
	// Every new workbook comes with a sheet of its own.
	if err := book.DeleteSheet("Sheet1"); err != nil {
		return nil, fmt.Errorf("delete sheet: %w", err)
	}
	var out bytes.Buffer
	if err := book.Write(&out); err != nil {
		return nil, fmt.Errorf("write workbook: %w", err)
	}
	return out.Bytes(), nil
}

func writeSheet(book *excelize.File, part section, rows []row, language string, bold int) error {
	sheet, line := part.title(language), 1
	for _, r := range rows {
		if r.section != part {
			continue
		}
		if line == 1 {
			if _, err := book.NewSheet(sheet); err != nil {
				return err
			}
			headings := columns(language)
			if err := book.SetSheetRow(sheet, "A1", &headings); err != nil {
				return err
			}
			if err := book.SetRowStyle(sheet, 1, 1, bold); err != nil {
				return err
			}
			if err := book.SetPanes(sheet, &excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
				return err
			}
		}
		line++
		cells := r.cells()
		if err := book.SetSheetRow(sheet, "A"+strconv.Itoa(line), &cells); err != nil {
			return err
		}
	}
	return nil
}
