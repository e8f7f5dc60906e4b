package cli

// privately is for systems where a file's mode says who may use it. Here a new
// socket has the access of its folder.
func privately[T any](make func() (T, error)) (T, error) { return make() }
