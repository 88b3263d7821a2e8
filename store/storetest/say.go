package storetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// say sends one command and answers what came: a text, a number as text, or the
// elements of an array, one on each line. It is all that the starters need to
// speak to a server.
func say(addr string, words ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, strings.Join(words, " ")+"\r\n"); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	answer, err := hear(r)
	if errors.Is(err, errReply) {
		err = fmt.Errorf("%s: %w", strings.Join(words, " "), err)
	}
	return answer, err
}

// errReply is a reply that is an error, or none that is known.
var errReply = errors.New("reply")

// hear reads one reply; of an array its elements, each on a line of its own.
func hear(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("an empty reply")
	}
	switch line[0] {
	case '+', ':':
		return line[1:], nil
	case '$':
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 {
			return "", fmt.Errorf("%w %q", errReply, line)
		}
		bulk := make([]byte, n+2)
		_, err = io.ReadFull(r, bulk)
		return string(bulk[:n]), err
	case '*':
		n, err := strconv.Atoi(line[1:])
		if err != nil {
			return "", fmt.Errorf("%w %q", errReply, line)
		}
		var all []string
		for range n {
			one, err := hear(r)
			if err != nil {
				return "", err
			}
			all = append(all, one)
		}
		return strings.Join(all, "\n"), nil
	default:
		return "", fmt.Errorf("%w %s", errReply, line)
	}
}
