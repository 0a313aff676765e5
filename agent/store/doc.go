// Package store is the only writer of files. It keeps named records in the state
// directory: each written to a temporary file, synced, renamed and the directory
// synced; each with a checksum, and in two generations, so that a torn or damaged
// newer one leaves the older. What a record means is its owner's business.
package store
