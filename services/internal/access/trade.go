package access

import "github.com/kefu-suite/kefu/runtime/authz"

// coverReaders know how long products are covered: everyone on the staff, as whoever talks to a
// customer has to say it.
func coverReaders() []authz.Grant { return at(company, "warranties.read") }

// coverKeepers prepare what a manager puts into effect: money depends on it.
func coverKeepers() []authz.Grant { return at(company, "warranties.prepare") }

// coverDeciders put it into effect.
func coverDeciders() []authz.Grant { return at(company, "warranties.publish") }

// tierReaders see models, runs and why a customer is in their tier: who plans service by it.
func tierReaders() []authz.Grant { return at(company, "tiers.read") }

// tierPreparers make models and runs, which move nobody.
func tierPreparers() []authz.Grant { return at(company, "tiers.prepare") }

// tierDeciders put them into effect, each what somebody else prepared, and mark customers.
func tierDeciders() []authz.Grant { return at(company, "tiers.decide", "tiers.mark") }

// exporters take customer files out as a table, each as their clearance shows it: of contact
// data the service desk's managers get the masks alone.
func exporters() []authz.Grant { return at(company, "customers.export") }
