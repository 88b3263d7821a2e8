package governance

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long a folder must be quiet before it is read again: editors
// write a file in several steps.
const settle = 100 * time.Millisecond

// Live is a Decider whose bundle can be exchanged while it decides. A turn is
// judged by one bundle from its first call to its last.
type Live struct {
	current atomic.Pointer[Bundle]
}

// NewLive starts with a bundle.
func NewLive(b *Bundle) *Live {
	l := &Live{}
	l.current.Store(b)
	return l
}

// Bundle is the one that decides now.
func (l *Live) Bundle() *Bundle { return l.current.Load() }

// Swap exchanges the bundle at once; decisions under way finish with the old one.
func (l *Live) Swap(b *Bundle) { l.current.Store(b) }

// Decide implements Decider.
func (l *Live) Decide(facts Facts, calls []Call) []CallDecision {
	return l.Bundle().Decide(facts, calls)
}

// Hosted implements Decider.
func (l *Live) Hosted(facts Facts, toolType string) bool { return l.Bundle().Hosted(facts, toolType) }

// ReadsReleased implements Decider.
func (l *Live) ReadsReleased(tool string) bool { return l.Bundle().ReadsReleased(tool) }

// Reads is what the rules of a tool may look at now.
func (l *Live) Reads(tool string) Reads { return l.Bundle().Reads(tool) }

// Watch follows the policies at a path (as LoadFiles reads them) until ctx ends.
// It blocks; the error says why watching could not begin or go on, and is nil
// when ctx ended it. After every change of content, new policies are loaded and
// compiled with the options of the current bundle. onReload hears the outcome:
// nil after an exchange or once a mistake is taken back, else the joined *LoadErrors, and the old bundle stays.
// Nothing is heard where the files say what the bundle says already.
//
// Folders are watched, not files, so that files replaced by a rename and the
// swapped links of a Kubernetes ConfigMap are seen.
func (l *Live) Watch(ctx context.Context, path string, onReload func(error)) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	defer func() { _ = watcher.Close() }()
	if err := watchFolders(watcher, path); err != nil {
		return err
	}
	seen := fileDigest{}
	l.reload(path, &seen, onReload) // what changed before the watch began
	quiet := time.NewTimer(settle)
	quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-watcher.Events:
			if !ok {
				return fmt.Errorf("watch %s: ended", path)
			}
			if event.Op != fsnotify.Chmod {
				quiet.Reset(settle)
			}
		case err, ok := <-watcher.Errors:
			if !ok {
				return fmt.Errorf("watch %s: ended", path)
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				quiet.Reset(settle) // something changed: read everything
				continue
			}
			return fmt.Errorf("watch %s: %w", path, err)
		case <-quiet.C:
			// A folder that was replaced as a whole needs a new watch.
			if err := watchFolders(watcher, path); err != nil {
				onReload(err)
			}
			l.reload(path, &seen, onReload)
		}
	}
}

// watchFolders watches the folder of a file, or a folder and the one around it
// (which sees the folder itself being replaced).
func watchFolders(watcher *fsnotify.Watcher, path string) error {
	folders := []string{filepath.Dir(filepath.Clean(path))}
	if _, _, err := policyFiles(path); err == nil {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			if isFolder(resolved) {
				folders = append(folders, path)
			} else {
				folders = append(folders, filepath.Dir(resolved))
			}
		}
	}
	for _, f := range folders {
		if err := watcher.Add(f); err != nil {
			return fmt.Errorf("watch %s: %w", f, err)
		}
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

type fileDigest struct {
	known  bool
	failed bool // the last look found a mistake
	sum    [sha256.Size]byte
}

// reload reads the files if their content changed since the last look.
func (l *Live) reload(path string, seen *fileDigest, onReload func(error)) {
	sum, err := contentDigest(path)
	if err == nil && seen.known && sum == seen.sum {
		return
	}
	if err != nil && seen.known && seen.sum == ([sha256.Size]byte{}) {
		return // still away
	}
	seen.known, seen.sum = true, sum
	current := l.Bundle()
	var bundle *Bundle
	policies, err := LoadFiles(path)
	if err == nil {
		bundle, err = NewBundle(policies, current.opts)
	}
	if after, _ := contentDigest(path); after != sum {
		seen.known = false // it changed while it was read: what was read is not what the digest says
	}
	if err != nil {
		seen.failed = true
		onReload(err)
		return
	}
	if bundle.digest == current.digest && !seen.failed {
		return
	}
	seen.failed = false
	l.current.Store(bundle)
	onReload(nil)
}

// contentDigest covers the names and bytes of all files that LoadFiles reads.
func contentDigest(path string) (sum [sha256.Size]byte, err error) {
	files, lock, err := policyFiles(path)
	if err != nil {
		return sum, err
	}
	if lock != "" {
		files = append(files, lock)
	}
	h := sha256.New()
	for _, f := range files {
		text, err := readPolicyFile(f)
		if err != nil {
			return [sha256.Size]byte{}, err
		}
		fmt.Fprintf(h, "%d %s %d ", len(f), f, len(text))
		h.Write(text)
	}
	h.Sum(sum[:0])
	return sum, nil
}
