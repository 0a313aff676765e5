package arch

import (
	"fmt"
	"go/ast"
	"slices"
)

// A function fits on a screen, a file is about one thing. For most of them that
// is the first number; none may pass the second.
const (
	mostFunctions, longestFunction = 40, 80
	mostFiles, longestFile         = 350, 500
)

// sizes looks at what people write and read: not at generated files, and of tests
// only at the files, since a table of cases is a long function and a good one.
func sizes(files []source) []string {
	var problems []string
	var functions, lengths []int
	for _, file := range files {
		if ast.IsGenerated(file.ast) {
			continue
		}
		lengths = append(lengths, file.lines)
		if file.lines > longestFile {
			problems = append(problems, fmt.Sprintf("%s has %d lines, more than %d", file.name, file.lines, longestFile))
		}
		if file.test {
			continue
		}
		for _, declaration := range file.ast.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := 1 + file.set.Position(function.End()).Line - file.set.Position(function.Pos()).Line
			functions = append(functions, n)
			if n > longestFunction {
				problems = append(problems, fmt.Sprintf("%s: %s has %d lines, more than %d",
					file.at(function), function.Name.Name, n, longestFunction))
			}
		}
	}
	if p := ninetieth(functions); p > mostFunctions {
		problems = append(problems, fmt.Sprintf("one function in ten has %d lines or more; %d is the limit", p, mostFunctions))
	}
	if p := ninetieth(lengths); p > mostFiles {
		problems = append(problems, fmt.Sprintf("one file in ten has %d lines or more; %d is the limit", p, mostFiles))
	}
	return problems
}

// ninetieth is the length that nine in ten do not pass.
func ninetieth(lengths []int) int {
	if len(lengths) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(lengths))
	return sorted[(len(sorted)*9+9)/10-1]
}
