package namedpipe

const solLocal = 0 // SOL_LOCAL of sys/un.h

func peerPID(int) int { return 0 }
