// Package managers knows the other programs that configure links: which of them has a
// link, what hands it over, and how they are told to leave it alone. What it sees are
// their files; it asks none of them.
package managers
