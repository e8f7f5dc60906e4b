package main

func quick(o options) error  { return nil }
func report(o options) error { return nil }

type foreign struct{}
