package pg

import "strings"

// Columns are the columns that a query of sqlc selects, as those of a table by its alias: for
// statements written by hand whose rows go into the struct of that query. A star would also give
// what a later release has added to the table, for which a replica of this one has no field.
// It panics on a query that does not begin with plain columns, and is for variables of packages.
func Columns(query, alias string) string {
	_, list, selects := strings.Cut(query, "SELECT ")
	list, _, from := strings.Cut(list, " FROM ")
	if !selects || !from || strings.ContainsAny(list, "(.*") {
		panic("pg: no columns in " + query)
	}
	return alias + "." + strings.ReplaceAll(list, ", ", ", "+alias+".")
}
