package api

import (
	"context"

	"cadreen/governance"
)

// Deciding gives the policies that decide in a workspace at the moment.
type Deciding interface {
	For(ctx context.Context, workspace string) (*governance.Bundle, error)
}
