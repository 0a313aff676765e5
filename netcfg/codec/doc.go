// Package codec turns text into configuration documents and configurations into
// text: YAML and JSON for people and programs, and the XML of oVirt's host_nic in
// the form of its API versions 3 and 4.
//
// Reading is strict and never half done. Decode gives either a whole Document or
// netcfg.Problems, which holds every reason at once with the field's path, line
// and column. It does not panic, whatever the input, and its time and memory are
// bounded by the limits below. It judges how a document is written, not what it
// asks for: that a VLAN id is a plain decimal number is checked here, that it lies
// between 1 and 4094 by netcfg.
//
// The rules of all formats:
//
//   - An integer is a plain decimal (1500; not 1500.0, 1.5e3, 0x5dc or 01500), a
//     boolean is true or false. Both may stand in quotes, as oVirt writes them in
//     JSON and can only write them in XML.
//   - Text holds printable characters only. Control characters, invalid UTF-8 and
//     the invisible characters that reorder text are refused and shown escaped.
//     Text does not begin or end with a blank. Empty text is refused, except as
//     the value of a bond option.
//   - In YAML and JSON an unknown or repeated key is refused. What show prints
//     beyond the configuration is read and ignored with a warning. Null unsets a
//     field of a NIC; networks and routes become empty and dns is left alone.
//   - YAML anchors, aliases, merge keys, tags of one's own and a second document
//     in the same text are refused.
//   - In XML both forms may be mixed, whatever else oVirt's own elements hold is
//     ignored, and elements that oVirt does not have are ignored with a warning.
//     An empty element or attribute says nothing. A DTD is refused.
//
// The stable names of the rules that Decode reports are syntax, text, empty,
// too-large, too-deep, too-many, unknown-field, duplicate-field, missing-field,
// wrong-type, out-of-range, yaml-alias, yaml-tag, yaml-documents and xml-dtd;
// those of its warnings output-only and ignored-element.
package codec
