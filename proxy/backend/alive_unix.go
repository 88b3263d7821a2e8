//go:build unix

package backend

import "syscall"

// probe looks at an idle connection without waiting.
type probe struct {
	socket syscall.RawConn
	look   func(fd uintptr) bool
	quiet  bool
	one    [1]byte
}

func (c *conn) watch(socket syscall.Conn) {
	p := &c.probe
	p.socket, _ = socket.SyscallConn() // nil is looked at no more
	p.look = func(fd uintptr) bool {
		_, err := syscall.Read(int(fd), p.one[:])
		p.quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	}
}

// alive tells whether an idle connection may be used: the server has neither
// closed it nor said what nobody asked for.
func (c *conn) alive() bool {
	if c.probe.socket == nil {
		return true
	}
	return c.probe.socket.Read(c.probe.look) == nil && c.probe.quiet
}
