package codec

import (
	"bytes"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/hostnic/hostnic/netcfg"
)

// The limits of a document. They are far above what a host needs and low enough
// that a hostile document costs little.
const (
	// MaxDocument is the size in bytes.
	MaxDocument = 4 << 20
	// MaxDepth is how deep objects, lists and elements may nest.
	MaxDepth = 32
	// MaxNics is the number of NICs.
	MaxNics = 1024
	// maxValues is the number of values of all kinds. It keeps the worst document
	// below 128 MiB and leaves 128 values to each of the most NICs.
	maxValues = 1 << 17
)

var byteOrderMark = []byte("\ufeff")

// Decode reads a document. The error is netcfg.Problems: all problems that could
// be told apart, in the order of the text; the Document is then empty. Empty
// text is an empty Document. Decode keeps nothing of data and may be called from
// any goroutine.
//
// Document.Lines tells the line of every field that was read. A NIC goes by its
// name, its id or, without either, its index: host_nics[bond0].mtu.
func Decode(data []byte, format Format) (netcfg.Document, error) {
	var d decoder
	root := d.read(data, format)
	doc := d.document(root)
	if err := d.problems.inOrder().Err(); err != nil {
		return netcfg.Document{}, err
	}
	doc.Lines, doc.Warnings = sync.OnceValue(func() map[string]int { return linesOf(root) }), d.warnings.inOrder()
	return doc, nil
}

// linesOf decodes once more, for the lines: few documents have anything to say of
// their lines.
func linesOf(root node) map[string]int {
	d := decoder{lines: map[string]int{}}
	d.document(root)
	return d.lines
}

func (d *decoder) read(data []byte, format Format) node {
	if !d.plausible(data) {
		return node{}
	}
	data = bytes.TrimPrefix(data, byteOrderMark)
	if len(bytes.TrimSpace(data)) == 0 {
		return node{}
	}
	if format == Auto {
		format = sniff(data)
	}
	switch format {
	case YAML:
		return parseYAML(data, &d.report)
	case JSON:
		return parseJSON(data, &d.report)
	case XML:
		return parseXML(data, &d.report)
	}
	d.refuse(netcfg.Problem{Rule: ruleSyntax, Found: format.String(), Allowed: "yaml, json, xml",
		Message: "there is no such format of documents"})
	return node{}
}

// plausible refuses what is not text at all, before a parser sees it. What it
// finds it tells once: the rest of a binary file is not worth a line each.
func (d *decoder) plausible(data []byte) bool {
	if len(data) > MaxDocument {
		d.refuse(netcfg.Problem{Rule: ruleTooLarge, Found: fmt.Sprintf("%d bytes", len(data)),
			Allowed: fmt.Sprintf("up to %d bytes", MaxDocument),
			Message: "the document is too large: split it and stage the parts one after the other"})
		return false
	}
	for i := 0; i < len(data); {
		if c := data[i]; c >= 0x20 && c < 0x7f {
			i++
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		invalid := r == utf8.RuneError && size == 1
		control := r < 0x20 && r != '\n' && r != '\r' && r != '\t' || r == 0x7f
		if invalid || control {
			line, column := newCursor(data).at(i)
			what := fmt.Sprintf("the control character %U", r)
			if invalid {
				what = fmt.Sprintf("the byte 0x%02x, which is not UTF-8", data[i])
			}
			d.refuse(netcfg.Problem{Rule: ruleText, Found: string(data[i : i+size]), Allowed: "text in UTF-8",
				Message: "the document holds " + what + ": save it as plain UTF-8 text", Line: line, Column: column})
			return false
		}
		i += size
	}
	return true
}
