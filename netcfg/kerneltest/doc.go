// Package kerneltest stands in for the kernel in tests. Fake is a network
// namespace in memory behind the same door as the real one, no kinder than Linux
// 6.1: what that refuses it refuses, with the same error number, and what that
// changes on the side it changes, too. Contract is the suite that the fake and a
// real kernel both pass, and the reason to believe the fake; where the two
// disagree the kernel is right. GenConfig makes up valid configurations.
//
// Only tests import this package.
package kerneltest
