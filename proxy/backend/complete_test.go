package backend

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

var _ governance.Completer = Completer{}

// completerOf answers with a status and a body; what was asked goes to asked.
func completerOf(t *testing.T, answer func(asked map[string]any) (int, string)) Completer {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		var asked map[string]any
		if err != nil || json.Unmarshal(text, &asked) != nil {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		status, body := answer(asked)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	b, err := Open(Settings{URL: server.URL + "/v1", APIKey: "sk-test", Retries: -1})
	require.NoError(t, err)
	return Completer{Backend: b, Model: "writer"}
}

func completion(content string) string {
	text, _ := json.Marshal(map[string]any{"object": "chat.completion", "choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": content}}}})
	return string(text)
}

var asking = governance.Completion{Instructions: "Do it.", Input: `{"x": 1}`, Name: "rule", Schema: []byte(`{"type":"object"}`)}

func TestCompleteAsksForStructuredOutput(t *testing.T) {
	c := completerOf(t, func(asked map[string]any) (int, string) {
		format, _ := asked["response_format"].(map[string]any)
		schema, _ := format["json_schema"].(map[string]any)
		if asked["model"] != "writer" || format["type"] != "json_schema" || schema["name"] != "rule" || schema["strict"] != true || schema["schema"].(map[string]any)["type"] != "object" {
			return http.StatusInternalServerError, "{}"
		}
		messages := asked["messages"].([]any)
		if messages[0].(map[string]any)["content"] != "Do it." || messages[1].(map[string]any)["content"] != `{"x": 1}` || asked["stream"] != nil || asked["tools"] != nil {
			return http.StatusInternalServerError, "{}"
		}
		return http.StatusOK, completion(`{"y": 2}`)
	})
	text, err := c.Complete(t.Context(), asking)
	require.NoError(t, err)
	require.Equal(t, `{"y": 2}`, text)
}

func TestAServerThatRefusesStructuredOutputIsAskedWithout(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusUnprocessableEntity} {
		c := completerOf(t, func(asked map[string]any) (int, string) {
			if asked["response_format"] != nil {
				return status, `{"error": {"message": "response_format is not supported", "type": "invalid_request_error"}}`
			}
			return http.StatusOK, completion("text")
		})
		text, err := c.Complete(t.Context(), asking)
		require.NoError(t, err)
		require.Equal(t, "text", text)
	}
}

func TestWhatIsNoReplyIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body, says string
	}{
		"no completion":  {200, `{"hello": 1}`, "no chat completion"},
		"no JSON":        {200, `hello`, ""},
		"empty":          {200, completion(""), "empty"},
		"cut off":        {200, strings.Replace(completion("x"), `"stop"`, `"length"`, 1), "cut off"},
		"a refusal":      {200, `{"choices": [{"finish_reason": "stop", "message": {"refusal": "I will not"}}]}`, "refused"},
		"too long":       {200, completion(strings.Repeat("x", replyLimit)), "too long"},
		"a bad key":      {401, `{"error": {"message": "no"}}`, "credentials"},
		"a server error": {500, `{}`, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := completerOf(t, func(map[string]any) (int, string) { return c.status, c.body }).Complete(t.Context(), asking)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "sk-test")
		})
	}
}

func TestCompleteEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan struct{})
	c := completerOf(t, func(map[string]any) (int, string) { cancel(); <-held; return http.StatusOK, completion("late") })
	_, err := c.Complete(ctx, asking)
	close(held)
	require.ErrorIs(t, err, context.Canceled)
}
