package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A record is one line of header and the payload:
//
//	hostnic-state FORMAT GENERATION LENGTH CRC32C
//	{ JSON }
//
// The checksum covers generation and payload. A person can read it with less, and
// nobody can edit it by accident.
const (
	magic      = "hostnic-state"
	format     = 1
	maxPayload = 64 << 20
)

type record struct {
	generation uint64
	payload    []byte
	err        error
}

// DamagedError says that a record cannot be read as it was written.
type DamagedError struct {
	Name string
	// Recovered is true when an older generation was good and has been read.
	Recovered bool
	Err       error
}

// Error says what is damaged and what was done about it.
func (e *DamagedError) Error() string {
	if e.Recovered {
		return fmt.Sprintf("the stored %s is damaged (%v); the generation before it is used", e.Name, e.Err)
	}
	return fmt.Sprintf("the stored %s is damaged and there is no good generation of it: %v", e.Name, e.Err)
}

// Unwrap gives the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// NewerError says that a newer version of the agent has written the record.
type NewerError struct{ Format int }

// Error says what to do.
func (e *NewerError) Error() string {
	return fmt.Sprintf("the state was written by a newer version of the agent (format %d, this one knows %d): run that version, nothing is changed", e.Format, format)
}

// Payload is a value as a record holds it.
type Payload []byte

// Encode makes the payload of v, for a value that is stored more than once.
func Encode(v any) (Payload, error) {
	var b bytes.Buffer
	err := json.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

// head is the header of a payload.
func head(generation uint64, p Payload) []byte {
	return fmt.Appendf(nil, "%s %d %d %d %s\n", magic, format, generation, len(p), checksum(generation, p))
}

// checksum finds what a disk does to a file. It does not keep out who may write to
// the directory: nothing in a file could.
func checksum(generation uint64, payload []byte) string {
	head := fmt.Appendf(nil, "%d\n", generation)
	return fmt.Sprintf("%08x", crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, payload))
}

// fits also takes the SHA-256 that the first version has written, so that its state is
// read after an upgrade. What is stored anew gets the checksum of today.
func fits(sum string, generation uint64, payload []byte) bool {
	if len(sum) != 2*sha256.Size {
		return sum == checksum(generation, payload)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", generation)
	h.Write(payload)
	return sum == hex.EncodeToString(h.Sum(nil))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func decode(f io.Reader) record {
	in := bufio.NewReader(f)
	head, err := in.ReadString('\n')
	if err != nil {
		return record{err: errors.New("it is cut off within its first line")}
	}
	var word, sum string
	var version int
	var r record
	var length int
	if n, err := fmt.Sscanf(head, "%s %d", &word, &version); n < 2 || err != nil || word != magic {
		return record{err: errors.New("it is not a state file of this agent")}
	}
	if version > format {
		return record{err: &NewerError{version}}
	}
	if n, _ := fmt.Sscanf(head, "%s %d %d %d %s", &word, &version, &r.generation, &length, &sum); n < 5 || length < 0 || length > maxPayload {
		return record{err: errors.New("its first line is damaged")}
	}
	r.payload, err = io.ReadAll(io.LimitReader(in, maxPayload+1))
	switch {
	case err != nil:
		return record{err: err}
	case len(r.payload) != length:
		return record{err: fmt.Errorf("it has %d bytes where %d were written", len(r.payload), length)}
	case !fits(sum, r.generation, r.payload):
		return record{err: errors.New("its checksum does not match")}
	}
	return r
}

func (r record) decode(v any) error {
	if err := json.Unmarshal(r.payload, v); err != nil {
		return fmt.Errorf("its content does not fit: %w", err)
	}
	return nil
}
