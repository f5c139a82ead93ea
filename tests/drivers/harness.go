// SPDX-License-Identifier: ISC
// harness.go - what the Go programs share: runs the scenarios of the command line and prints a line for each.
package main

import (
	"fmt"
	"os"
	"strings"
)

type notSupported string

func (n notSupported) Error() string { return string(n) }

// check panics unless both print alike.
func check(got, want interface{}) {
	a, b := fmt.Sprint(got), fmt.Sprint(want)
	if a != b {
		if len(a) > 200 {
			a = a[:200]
		}
		if len(b) > 80 {
			b = b[:80]
		}
		panic(fmt.Errorf("%s instead of %s", a, b))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func runOne(name string, scenario func() string) {
	defer func() {
		if r := recover(); r != nil {
			result := "FAIL"
			if _, is := r.(notSupported); is {
				result = "n/a"
			}
			fmt.Printf("%s\t%s\t%s\n", name, result, strings.NewReplacer("\n", " ", "\t", " ").Replace(fmt.Sprint(r)))
		}
	}()
	detail := scenario()
	fmt.Printf("%s\tok\t%s\n", name, detail)
}

func runAll(scenarios map[string]func() string) {
	for _, name := range os.Args[1:] {
		runOne(name, scenarios[name])
	}
}
