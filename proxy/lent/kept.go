//go:build !poison

package lent

// Poisoned says that what is given back is made unreadable instead of being lent again.
const Poisoned = false
