package server_test

import (
	"testing"

	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/subject/subjecttest"
)

func TestSubjectTablesAreDeclared(t *testing.T) {
	subjecttest.Declared(t, newWorld(t).Pool, db.SubjectTables())
}
