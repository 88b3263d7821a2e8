package api

import (
	"context"

	"cadreen/governance"
)

// Deciding gives the policies that decide in a workspace at the moment.
type Deciding interface {
	Bundle(ctx context.Context, workspace string) (*governance.Bundle, error)
}
