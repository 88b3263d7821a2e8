//go:build !poison

package openai

// poisoned: what is given back is not used again, so that whoever still holds it is found.
const poisoned = false
