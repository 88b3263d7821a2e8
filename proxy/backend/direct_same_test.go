package backend

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever a server answers, in whatever pieces: the direct way and net/http's
// make the same of it.
func FuzzAnswersAreReadAsNetHTTPReadsThem(f *testing.F) {
	for _, answer := range []string{
		okay,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\n\r\nuntil the end",
		"HTTP/1.1 200\nContent-Length: 1\n\nx",
		"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\nhalf",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "\x16\x03\x01",
	} {
		f.Add([]byte(answer), byte(7), false)
		f.Add([]byte(answer), byte(255), true)
	}
	silence(f)
	f.Fuzz(func(t *testing.T, answer []byte, piece byte, read bool) {
		if len(answer) >= readSize {
			return // a trailer as long as this may be read by one and not by the other
		}
		base := &url.URL{Scheme: "http", Host: "model.test", Path: "/"}
		way := newDirect(base, 0)
		way.dial = answering(answer, int(piece)+1)
		old := newTransport(0)
		old.DialContext = answering(answer, int(piece)+1)
		defer way.CloseIdleConnections()
		defer old.CloseIdleConnections()
		body := []byte("{}")
		if !read {
			body = nil
		}
		got, want := hear(way, post(t.Context(), base, body)), hear(old, post(t.Context(), base, body))
		if want.status == http.StatusSwitchingProtocols {
			want.body = got.body // net/http gives the connection out
			want.broken = got.broken
		}
		require.Equal(t, want, got, "%q", answer)
	})
}

type heard struct {
	status       int
	header       http.Header
	trailer      http.Header
	length       int64
	body         string
	none, broken bool
}

func hear(way http.RoundTripper, req *http.Request) heard {
	resp, err := way.RoundTrip(req)
	if err != nil {
		return heard{none: true}
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return heard{status: resp.StatusCode, header: resp.Header}
	}
	text, err := io.ReadAll(resp.Body)
	return heard{status: resp.StatusCode, header: resp.Header, trailer: resp.Trailer, length: resp.ContentLength, body: string(text), broken: err != nil}
}

// answering connects to a server that takes a request, answers in pieces and closes.
func answering(answer []byte, piece int) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			if _, _, ok := takeRequest(bufio.NewReader(theirs)); !ok {
				return
			}
			for rest := answer; len(rest) > 0; {
				n, err := theirs.Write(rest[:min(piece, len(rest))])
				if err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		return ours, nil
	}
}

// https upstreams, and those behind a proxy, are reached through net/http: what holds for the direct way holds there too.
func TestTheSameThroughNetHTTP(t *testing.T) {
	throughNetHTTP = true
	t.Cleanup(func() { throughNetHTTP = false })
	for name, test := range map[string]func(*testing.T){
		"CancelReachesTheUpstream": TestCancelReachesTheUpstream, "CancelledBeforehandAsksNobody": TestCancelledBeforehandAsksNobody,
		"CancelDuringAPauseBetweenRetries": TestCancelDuringAPauseBetweenRetries, "SlowHeadersAreUnavailable": TestSlowHeadersAreUnavailable,
		"SilentStreamIsGivenUp": TestSilentStreamIsGivenUp, "CallersDeadlineIsUnavailable": TestCallersDeadlineIsUnavailable,
		"BrokenOffAnswerIsNotACleanEnd":                    TestBrokenOffAnswerIsNotACleanEnd,
		"ChatSendsTheBodyWholeAndReturnsTheAnswerAsItCame": TestChatSendsTheBodyWholeAndReturnsTheAnswerAsItCame,
		"StreamFramesArriveOneByOne":                       TestStreamFramesArriveOneByOne, "ConnectionIsKeptAfterDone": TestConnectionIsKeptAfterDone,
		"PoolKeepsAConnectionForEveryRequestAtATime": TestPoolKeepsAConnectionForEveryRequestAtATime, "ConnectionsCanBeLimited": TestConnectionsCanBeLimited,
		"RedirectIsRefused": TestRedirectIsRefused, "CompressedAnswerIsRefused": TestCompressedAnswerIsRefused, "KindOfAnswerMustFit": TestKindOfAnswerMustFit,
		"Models": TestModels, "Check": TestCheck, "CheckIsAskedAtMostOnceInTwoSeconds": TestCheckIsAskedAtMostOnceInTwoSeconds,
		"PassthroughSendsTheClientsKeyAndNeverOurs": TestPassthroughSendsTheClientsKeyAndNeverOurs,
		"RetryBeforeTheFirstByte":                   TestRetryBeforeTheFirstByte, "RetrySendsTheSameBytes": TestRetrySendsTheSameBytes,
		"RetriesCanBeTurnedOff": TestRetriesCanBeTurnedOff, "NoRetryOnceTheBudgetIsSpent": TestNoRetryOnceTheBudgetIsSpent,
		"NoRetryAfterAFirstAttemptThatTookTheBudget": TestNoRetryAfterAFirstAttemptThatTookTheBudget, "NoRetryAfterTheFirstByteOfAStream": TestNoRetryAfterTheFirstByteOfAStream,
		"RefusedConnectionIsUnavailableWithoutItsAddress": TestRefusedConnectionIsUnavailableWithoutItsAddress, "BreakerOverRealSockets": TestBreakerOverRealSockets,
		"HeaderHygieneTowardsTheUpstream": TestHeaderHygieneTowardsTheUpstream, "UpstreamCookiesNeverReachTheClient": TestUpstreamCookiesNeverReachTheClient,
		"UpstreamErrorMapping": TestUpstreamErrorMapping, "UpstreamsAdviceIsPassedOn": TestUpstreamsAdviceIsPassedOn,
		"ErrorBodyThatNeverEnds": TestErrorBodyThatNeverEnds, "KeyAndAddressNeverLeak": TestKeyAndAddressNeverLeak,
	} {
		t.Run(name, test)
	}
}
