package namedpipe

const network = "pipe"

func pathOf(name string) (string, error) { return windowsPath(name) }
