package main

import "runtime/debug"

// version is that of k8s.io/api, as this program was built.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		panic("no build information")
	}
	for _, dependency := range info.Deps {
		if dependency.Path == "k8s.io/api" {
			if dependency.Replace != nil {
				dependency = dependency.Replace
			}
			return dependency.Path + " " + dependency.Version
		}
	}
	panic("k8s.io/api is no dependency")
}
