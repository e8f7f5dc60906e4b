package follow

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

// The layout of FILE_DIRECTORY_INFORMATION, see
// https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/ns-ntifs-_file_directory_information.
// The file system of pipes puts the number of instances where files have their
// size, and its maximum where they have their allocated size.
const (
	offNext       = 0
	offInstances  = 40
	offMax        = 48
	offNameLength = 60
	offName       = 64
)

// parseDirectory returns the entries of a buffer that NtQueryDirectoryFile has
// filled. It trusts nothing in it: a buffer that can't be right is an error.
func parseDirectory(b []byte) ([]Entry, error) {
	var entries []Entry
	for at := 0; ; {
		if len(b)-at < offName {
			return nil, fmt.Errorf("entry at byte %d of %d is cut off", at, len(b))
		}
		e := b[at:]
		size := uint64(binary.LittleEndian.Uint32(e[offNameLength:]))
		if size > uint64(len(e)-offName) || size%2 != 0 {
			return nil, fmt.Errorf("entry at byte %d of %d has a name of %d bytes", at, len(b), size)
		}
		units := make([]uint16, size/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(e[offName+2*i:])
		}
		if name := string(utf16.Decode(units)); !pipename.IsNext(name) {
			entries = append(entries, Entry{
				Name:         name,
				Path:         pipename.Prefix + name,
				Instances:    count(e[offInstances:]),
				MaxInstances: max(count(e[offMax:]), -1), // as good as no limit is none
			})
		}
		next := uint64(binary.LittleEndian.Uint32(e[offNext:]))
		if next == 0 {
			return entries, nil
		}
		if next < offName+size || next > uint64(len(e)) {
			return nil, fmt.Errorf("entry at byte %d of %d says that the next one is %d bytes on", at, len(b), next)
		}
		at += int(next)
	}
}

// count returns a number of instances, of which only 32 bits are meant; all of
// them set mean no limit.
func count(b []byte) int { return int(int32(binary.LittleEndian.Uint32(b))) }
