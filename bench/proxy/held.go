package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// asked is what calls that are held, asked about in the chat and released by a yes gave in one round.
type asked struct {
	question, yes []time.Duration // sorted
	cpu, store    float64         // ms per 1,000 questions with their answers, of the contestant and of its store's process
	extra         int64           // calls to the model beyond one for each question
	wrong         int
	problem       error
}

// heldLoads are how many chats at once ask and answer.
var heldLoads = []int{1, 16}

// heldSlices are how many slices one of them takes in a round: a p99 of fewer than some hundred is the slowest of all.
const heldSlices = 4

// heldFigures are the rounds by contestant, for each of heldLoads.
type heldFigures map[string]map[int][]asked

func (h heldFigures) add(contestant string, chats int, one asked) {
	if h[contestant] == nil {
		h[contestant] = map[int][]asked{}
	}
	h[contestant][chats] = append(h[contestant][chats], one)
}

// quantileOf is the median of the rounds' quantiles, in ms.
func quantileOf(rounds []asked, of func(asked) []time.Duration, q float64) spread {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = float64(quantile(of(r), q).Microseconds()) / 1000
	}
	return spreadOf(values)
}

func questionsOf(a asked) []time.Duration { return a.question }
func yesesOf(a asked) []time.Duration     { return a.yes }

// heldRound puts one contestant under calls that are held. Every chat is a new one: its question is asked, and answered.
func heldRound(ctx context.Context, c *contestant, model string, chats int, slice time.Duration, call []byte) (asked, error) {
	workers := make([]*worker, chats)
	defer func() {
		for _, w := range workers {
			if w != nil {
				w.close()
			}
		}
	}()
	for i := range workers {
		var err error
		if workers[i], err = newWorker(ctx, c.base, key, nil); err != nil {
			return asked{}, err
		}
	}
	each(workers, func(_ int, w *worker) {
		if _, _, err := w.askAndAnswer(call); err != nil {
			w.failed = append(w.failed, err)
		}
	})
	for _, w := range workers {
		if len(w.failed) > 0 {
			return asked{}, w.failed[0]
		}
	}
	before, err := modelCalls(model)
	if err != nil {
		return asked{}, err
	}
	used, stored, err := c.spent()
	if err != nil {
		return asked{}, err
	}
	parts := make([]asked, chats)
	var questions atomic.Int64
	end := time.Now().Add(slice)
	each(workers, func(i int, w *worker) {
		for ctx.Err() == nil && time.Now().Before(end) {
			questions.Add(1)
			question, yes, err := w.askAndAnswer(call)
			if err != nil { // the connection may be in any state
				parts[i].wrong, parts[i].problem = parts[i].wrong+1, err
				return
			}
			parts[i].question, parts[i].yes = append(parts[i].question, question), append(parts[i].yes, yes)
		}
	})
	usedAfter, storedAfter, err := c.spent()
	if err != nil {
		return asked{}, err
	}
	after, err := modelCalls(model)
	if err != nil {
		return asked{}, err
	}
	all := asked{extra: after - before - questions.Load()}
	for _, p := range parts {
		all.question, all.yes = append(all.question, p.question...), append(all.yes, p.yes...)
		all.wrong += p.wrong
		if all.problem == nil {
			all.problem = p.problem
		}
	}
	slices.Sort(all.question)
	slices.Sort(all.yes)
	if n := len(all.yes); n > 0 {
		all.cpu = (usedAfter - used).Seconds() * 1e6 / float64(n)
		all.store = (storedAfter - stored).Seconds() * 1e6 / float64(n)
	}
	return all, ctx.Err()
}

// spent is the CPU time of the contestant's processes so far, and of its store's.
func (c *contestant) spent() (own, store time.Duration, err error) {
	if own, err = c.process.cpu(); err == nil && c.beside != nil {
		store, err = c.beside.cpu()
	}
	return own, store, err
}

// chatNumber makes the chats of a run different.
var chatNumber atomic.Int64

// askAndAnswer has one call held, says yes to the question, and looks whether the call that comes is the model's.
func (w *worker) askAndAnswer(call []byte) (question, yes time.Duration, err error) {
	turns := append(messages(2), fmt.Sprintf(`{"role":"user","content":"Chat %d: where is order 456?"}`, chatNumber.Add(1)))
	w.carry(padded("bench-question", 1<<10, turns, tools(1)))
	begun := time.Now()
	body, err := w.exchange()
	if err != nil {
		return 0, 0, err
	}
	question = time.Since(begun)
	said, err := questionIn(body)
	if err != nil {
		return 0, 0, err
	}
	turns = append(turns, `{"role":"assistant","content":`+string(said)+`}`, `{"role":"user","content":"yes"}`)
	w.carry(padded("bench-question", 1<<10, turns, tools(1)))
	begun = time.Now()
	if body, err = w.exchange(); err != nil {
		return 0, 0, err
	}
	return question, time.Since(begun), released(body, call)
}

// completion is what is read of a reply.
type completion struct {
	Choices []struct {
		Message struct {
			Content   json.RawMessage   `json:"content"`
			ToolCalls []json.RawMessage `json:"tool_calls"`
		} `json:"message"`
		Finish string `json:"finish_reason"`
	} `json:"choices"`
}

// questionIn is the raw text that a client would send back as the assistant's.
func questionIn(body []byte) (json.RawMessage, error) {
	var reply completion
	if err := json.Unmarshal(body, &reply); err != nil {
		return nil, err
	}
	if len(reply.Choices) != 1 || len(reply.Choices[0].Message.ToolCalls) > 0 || len(reply.Choices[0].Message.Content) < 3 {
		return nil, fmt.Errorf("the call was not held: %s", body)
	}
	return reply.Choices[0].Message.Content, nil
}

// released says why a reply does not hold the one call that the model made, character for character.
func released(body, call []byte) error {
	var reply completion
	if err := json.Unmarshal(body, &reply); err != nil {
		return err
	}
	if len(reply.Choices) != 1 || len(reply.Choices[0].Message.ToolCalls) != 1 {
		return fmt.Errorf("no call was released: %s", body)
	}
	if got := reply.Choices[0].Message.ToolCalls[0]; !bytes.Equal(got, call) {
		return fmt.Errorf("another call was released: %s, not %s", got, call)
	}
	if finish := reply.Choices[0].Finish; finish != "tool_calls" {
		return errors.New("released with finish_reason " + finish)
	}
	return nil
}

// proposedCall is the raw call that the model makes when asked directly.
func proposedCall(ctx context.Context, model string) ([]byte, error) {
	body, err := ask(ctx, "http://"+model+"/v1", padded("bench-question", 1<<10, messages(3), tools(1)))
	if err != nil {
		return nil, err
	}
	var reply completion
	if err := json.Unmarshal(body, &reply); err != nil {
		return nil, err
	}
	if len(reply.Choices) != 1 || len(reply.Choices[0].Message.ToolCalls) != 1 {
		return nil, fmt.Errorf("the model made no call: %s", body)
	}
	return reply.Choices[0].Message.ToolCalls[0], nil
}

// modelCalls is how often the model was asked so far.
func modelCalls(model string) (int64, error) {
	response, err := http.Get("http://" + model + "/calls")
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(text), 10, 64)
}
