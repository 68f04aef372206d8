package server_test

import (
	"testing"

	"github.com/kefu-suite/kefu/services/internal/subject/subjecttest"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
)

func TestSubjectTablesAreDeclared(t *testing.T) {
	subjecttest.Declared(t, newKit(t).Pool, db.SubjectTables())
}
