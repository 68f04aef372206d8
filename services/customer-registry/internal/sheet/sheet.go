// Package sheet reads tables of customers from spreadsheets and writes them: which column is
// which field, what a cell means, what is wrong with it, and how a cell is written so that no
// spreadsheet takes it for a formula. It reads no clock and no database.
package sheet

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// maxCells bounds a row: more columns no file of customers has.
const maxCells = 1000

// unzipped is how much of an XLSX file is kept in memory unpacked; what is more goes to a
// temporary file that is deleted when the reader is closed.
const unzipped = 16 << 20

// Broken says that a file as a whole cannot be read.
type Broken struct{ Text rpcerr.Text }

func (b *Broken) Error() string { return b.Text.EN }

func broken(en, zh string, args ...any) *Broken { return &Broken{rpcerr.T(en, zh, args...)} }

// Reader gives the rows of a table one by one. Next ends with io.EOF; any *Broken is the end
// too, and other errors are those of the source.
type Reader interface {
	// Next gives the cells of the next row and the line that it begins on, the first being 1.
	// The cells are valid until the next call.
	Next() (line int64, cells []string, err error)
	// Offset is how many bytes of the file were read, 0 where that cannot be told.
	Offset() int64
	io.Closer
}

type csvReader struct {
	*csv.Reader
}

// CSV reads comma-separated values. delimiter is one character, a comma where empty; encoding
// is utf-8 or gb18030, utf-8 where empty.
func CSV(from io.Reader, delimiter, encoding string) Reader {
	if encoding == "gb18030" {
		from = transform.NewReader(from, simplifiedchinese.GB18030.NewDecoder())
	}
	buffered := bufio.NewReaderSize(from, 1<<16)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3) // they were peeked at
	}
	r := csv.NewReader(buffered)
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	if delimiter != "" {
		r.Comma = rune(delimiter[0])
	}
	return &csvReader{r}
}

func (r *csvReader) Next() (int64, []string, error) {
	cells, err := r.Read()
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return 0, nil, broken("line %[1]d is no CSV: %[2]s; a quotation mark within a cell is doubled, and such a cell stands in quotation marks",
			"第 %[1]d 行不是有效的 CSV：%[2]s；单元格内的引号须双写，且该单元格须加引号", syntax.Line, syntax.Err)
	}
	if err != nil {
		return 0, nil, err
	}
	if len(cells) > maxCells {
		line, _ := r.FieldPos(0)
		return 0, nil, broken("line %[1]d has %[2]d cells; at most %[3]d are read", "第 %[1]d 行有 %[2]d 个单元格；最多读取 %[3]d 个", line, len(cells), maxCells)
	}
	line, _ := r.FieldPos(0)
	return int64(line), cells, nil
}

func (r *csvReader) Offset() int64 { return r.InputOffset() }
func (r *csvReader) Close() error  { return nil }

type xlsxReader struct {
	file *excelize.File
	rows *excelize.Rows
	line int64
}

// XLSX reads a sheet of a workbook, the first where name is empty. The file is read whole; of
// its unpacked sheets what is large lies in temporary files until Close.
func XLSX(from io.Reader, name string) (Reader, error) {
	file, err := excelize.OpenReader(from, excelize.Options{UnzipXMLSizeLimit: unzipped, UnzipSizeLimit: 4 << 30, RawCellValue: true})
	if err != nil {
		return nil, broken("the file is no XLSX workbook: %[1]s", "文件不是有效的 XLSX 工作簿：%[1]s", err)
	}
	if name == "" {
		name = file.GetSheetName(0)
	}
	rows, err := file.Rows(name)
	if err != nil {
		sheets := strings.Join(file.GetSheetList(), ", ")
		return nil, errors.Join(broken("the workbook has no sheet %[1]q; it has %[2]s", "工作簿没有名为 %[1]q 的工作表；现有：%[2]s", name, sheets), file.Close())
	}
	return &xlsxReader{file: file, rows: rows}, nil
}

func (r *xlsxReader) Next() (int64, []string, error) {
	for r.rows.Next() {
		r.line++
		cells, err := r.rows.Columns(excelize.Options{RawCellValue: true})
		if err != nil {
			return 0, nil, broken("line %[1]d cannot be read: %[2]s", "第 %[1]d 行无法读取：%[2]s", r.line, err)
		}
		if len(cells) > maxCells {
			return 0, nil, broken("line %[1]d has %[2]d cells; at most %[3]d are read", "第 %[1]d 行有 %[2]d 个单元格；最多读取 %[3]d 个", r.line, len(cells), maxCells)
		}
		if empty(cells) {
			continue
		}
		return r.line, cells, nil
	}
	if err := r.rows.Error(); err != nil {
		return 0, nil, broken("the sheet ends broken: %[1]s", "工作表末尾损坏：%[1]s", err)
	}
	return 0, nil, io.EOF
}

func (r *xlsxReader) Offset() int64 { return 0 }
func (r *xlsxReader) Close() error  { return errors.Join(r.rows.Close(), r.file.Close()) }

func empty(cells []string) bool {
	for _, c := range cells {
		if c != "" {
			return false
		}
	}
	return true
}

// Letter names a column as spreadsheets do: A, B, …, Z, AA.
func Letter(column int) string {
	name, err := excelize.ColumnNumberToName(column + 1)
	if err != nil {
		return fmt.Sprint(column + 1)
	}
	return name
}
