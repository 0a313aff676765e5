package netcfg

func identity(s string) string { return s }
