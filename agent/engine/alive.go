package engine

import "time"

// pulsePace is how often the loop turns when it has nothing to do, so that its turning
// shows that it lives.
const pulsePace = 5 * time.Second

// lives notes that the loop is at work and will be heard of again within so long. It is
// told with each turn of the loop, and in the middle of an operation along with the
// guard: an operation may take minutes, each of its steps may not.
func (e *Engine) lives(length time.Duration) { e.life.Store(int64(time.Since(e.born) + length)) }

// Alive is whether the loop is at work, as far as it has promised to be heard of. Time
// that the machine sleeps does not count. It may be called from any goroutine.
func (e *Engine) Alive() bool { return int64(time.Since(e.born)) < e.life.Load() }
