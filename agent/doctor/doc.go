// Package doctor finds what is wrong or suspicious on a host. Look gathers what lies
// outside of the network; Examine judges values, and touches nothing.
package doctor
