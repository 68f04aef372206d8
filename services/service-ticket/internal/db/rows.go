package db

import "github.com/kefu-suite/kefu/runtime/pg"

// Of calls that share a transaction these are one statement for all.
var (
	_ = pg.NewRows(updateTicketStanding)
	_ = pg.NewRows(insertTransition)
)
