package governance_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

// How sure a verdict is: the least sure of the rules that decided it.
func TestConfidenceOfADecision(t *testing.T) {
	rule := func(determining bool, confidence float64) governance.Fired {
		return governance.Fired{Determining: determining, Confidence: confidence}
	}
	for name, c := range map[string]struct {
		decision governance.CallDecision
		want     float64
		known    bool
	}{
		"written out":        {governance.CallDecision{Reason: governance.ReasonRule, Fired: []governance.Fired{rule(true, 0)}}, 1, true},
		"read by a model":    {governance.CallDecision{Reason: governance.ReasonRule, Fired: []governance.Fired{rule(true, 2.0/3)}}, 2.0 / 3, true},
		"the least sure":     {governance.CallDecision{Reason: governance.ReasonRule, Fired: []governance.Fired{rule(true, .9), rule(true, 0), rule(true, .5)}}, .5, true},
		"not determining":    {governance.CallDecision{Reason: governance.ReasonRule, Fired: []governance.Fired{rule(false, .1), rule(true, 0)}}, 1, true},
		"no such tool":       {governance.CallDecision{Reason: governance.ReasonNotOffered}, 1, true},
		"the profile":        {governance.CallDecision{Reason: governance.ReasonProfile}, 0, false},
		"forced":             {governance.CallDecision{Reason: governance.ReasonForced}, 0, false},
		"could not be found": {governance.CallDecision{Reason: governance.ReasonError, Fired: []governance.Fired{rule(true, 0)}}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, known := c.decision.Confidence()
			require.Equal(t, c.known, known)
			require.Equal(t, c.want, got)
		})
	}
}
