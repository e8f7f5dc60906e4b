package namedpipe

const bindsPrivately = false
