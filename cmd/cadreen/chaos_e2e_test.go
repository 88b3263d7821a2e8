package main

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// chaosEnv makes the fault suite longer: `make chaos` sets it. Unset is the
// bounded part that `make test` runs. It does not begin with CADREEN_: the
// program takes those for settings.
const chaosEnv = "CHAOS"

// chaosTimes is how many times longer the suite runs than its bounded part.
func chaosTimes() int {
	n, err := strconv.Atoi(os.Getenv(chaosEnv))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

func chaosWhole() bool { return chaosTimes() > 1 }

// patience bounds what only a real process decides: nothing takes that long
// unless it is broken.
const patience = 30 * time.Second

// awaitTrue repeats a question until the answer is yes.
func awaitTrue(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		require.True(t, time.Now().Before(deadline), "waited in vain until %s", what)
		<-tick.C
	}
}
