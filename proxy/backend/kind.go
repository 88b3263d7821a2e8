package backend

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

var (
	errMalformed = errors.New("malformed answer")
	errBroken    = errors.New("the answer broke off")
)

// peekLimit bounds the white space that may come before the first character of
// an answer without a content type, in bytes.
const peekLimit = 4 << 10

// checkKind makes sure that the answer is what was asked for: server-sent
// events for a stream, JSON otherwise, uncompressed. A missing content type is
// made up for by the first character. The error says what came instead.
func checkKind(header http.Header, b *body, stream bool) error {
	for _, encoding := range header["Content-Encoding"] {
		if encoding = strings.TrimSpace(encoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
			return fmt.Errorf("%w: compressed although identity was asked for", errMalformed)
		}
	}
	given := header.Get("Content-Type")
	if strings.TrimSpace(given) == "" {
		return checkFirst(b, stream)
	}
	media, _, err := mime.ParseMediaType(given)
	if err != nil {
		media, _, _ = strings.Cut(strings.ToLower(given), ";")
		media = strings.TrimSpace(media)
	}
	isStream := media == "text/event-stream"
	isJSON := media == "application/json" || strings.HasSuffix(media, "+json")
	if stream && !isStream || !stream && !isJSON {
		return fmt.Errorf("%w: wrong content type", errMalformed)
	}
	return nil
}

func checkFirst(b *body, stream bool) error {
	var ahead []byte
	buf := make([]byte, 512)
	for {
		n, err := b.Read(buf)
		ahead = append(ahead, buf[:n]...)
		text := bytes.TrimLeft(bytes.TrimPrefix(ahead, []byte("\ufeff")), " \t\r\n")
		if len(text) > 0 && (len(ahead) >= 3 || ahead[0] < 0x80) {
			b.ahead = ahead
			isJSON := text[0] == '{'
			// A comment, or one of data, event, id, retry.
			isStream := strings.IndexByte(":deir", text[0]) >= 0
			if stream && !isStream || !stream && !isJSON {
				return fmt.Errorf("%w: no content type, and not what was asked for", errMalformed)
			}
			return nil
		}
		switch {
		case err != nil && len(text) == 0:
			return fmt.Errorf("%w: empty", errors.Join(errMalformed, err))
		case err != nil:
			return fmt.Errorf("%w: not text", errors.Join(errMalformed, err))
		case len(ahead) > peekLimit:
			return fmt.Errorf("%w: only white space", errMalformed)
		}
	}
}
