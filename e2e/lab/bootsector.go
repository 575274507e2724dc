package lab

import (
	"encoding/binary"
	"fmt"
)

const (
	sectorSize = 512
	// blockSize is what the boot sector writes and reads in one call. The BIOS makes one request of it; of 64 KiB it
	// would make two.
	blockSize = 32 << 10
	// firstBlock is the offset of the first block that the boot sector writes.
	firstBlock = 1 << 20
)

// bootSector returns the first sector of a disk that does real I/O without an operating system: started by the
// BIOS, it writes size MiB of a known pattern from offset firstBlock on, reads all of it back, compares, and says so
// on COM1 (see bootVerified). Then it halts, or, when steady, writes and verifies 4 KiB at every tick of the BIOS (18.2 a
// second) for ever.
func bootSector(size int, steady bool) []byte {
	sector := make([]byte, sectorSize)
	copy(sector, bootCode)
	data := sector[bootData:]
	// The disk address packet of int 13h: its size, sectors, buffer (offset and segment), first sector.
	data[0] = 16
	binary.LittleEndian.PutUint16(data[2:], blockSize/sectorSize)
	binary.LittleEndian.PutUint32(data[0x10:], firstBlock/sectorSize)
	binary.LittleEndian.PutUint32(data[0x14:], uint32(size<<20/blockSize))
	if steady {
		data[0x18] = 1
	}
	copy(data[0x20:], bootFailed+"I/O error\n")
	copy(data[0x40:], bootFailed+"mismatch\n")
	copy(data[0x60:], bootVerified(size))
	sector[sectorSize-2], sector[sectorSize-1] = 0x55, 0xaa
	return sector
}

// bootVerified is what the boot sector says when it has read back what it had written.
func bootVerified(size int) string { return fmt.Sprintf("wrote %d MiB, verified\n", size) }

// bootFailed is how the message of a boot sector begins that could not.
const bootFailed = "failed: "

// bootBlock returns what the boot sector writes at an offset: the pattern, with the number of the sector in its
// first four bytes.
func bootBlock(offset int64) []byte {
	block := make([]byte, blockSize)
	for i := 0; i < blockSize; i += 2 {
		binary.LittleEndian.PutUint16(block[i:], uint16(i*0x9e35))
	}
	binary.LittleEndian.PutUint32(block, uint32(offset/sectorSize))
	return block
}

// BootData returns what the boot sector writes, from the first byte behind firstBlock to the end of the image.
func BootData(size int) []byte {
	data := make([]byte, 0, size<<20)
	for offset := int64(firstBlock); offset < BootImageSize(size); offset += blockSize {
		data = append(data, bootBlock(offset)...)
	}
	return data
}

// bootData is where in the sector the data of bootCode begins: the packet, then at 0x10 lba, at 0x14 blocks, at 0x18
// steady, at 0x19 drive, and the messages ioError at 0x20, mismatch at 0x40, done at 0x60.
const bootData = 0x100

// bootCode is the program, for 0000:7c00 in real mode on a 386. Blocks are written from segment 0x1000 and read into
// segment 0x2000.
//
//	objdump -D -b binary -m i8086 -M intel --adjust-vma=0x7c00 FILE
//
// shows it again.
var bootCode = []byte{
	// start: the BIOS jumps here with the boot disk in dl
	0x31, 0xc0, // xor ax, ax
	0x8e, 0xd8, // mov ds, ax
	0x8e, 0xd0, // mov ss, ax
	0xbc, 0x00, 0x7c, // mov sp, 0x7c00
	0xfc,                   // cld
	0xfb,                   // sti
	0x88, 0x16, 0x19, 0x7d, // mov byte [drive], dl
	0xb8, 0x00, 0x10, // mov ax, 0x1000
	0x8e, 0xc0, // mov es, ax
	0x31, 0xff, // xor di, di
	// fill: the pattern: the word at offset i is i*0x9e35
	0x69, 0xc7, 0x35, 0x9e, // imul ax, di, 0x9e35
	0xab,       // stos word es:[di], ax
	0x85, 0xff, // test di, di
	0x75, 0xf7, // jne fill
	0xb4, 0x43, // mov ah, 0x43
	0xe8, 0x2f, 0x00, // call pass
	0xb4, 0x42, // mov ah, 0x42
	0xe8, 0x2a, 0x00, // call pass
	0xbe, 0x60, 0x7d, // mov si, done
	0xe8, 0xa1, 0x00, // call print
	0x80, 0x3e, 0x18, 0x7d, 0x00, // cmp byte [steady], 0x0
	0x0f, 0x84, 0x95, 0x00, // je halt
	0xc7, 0x06, 0x02, 0x7d, 0x08, 0x00, // mov word [packet.sectors], 0x8
	// again: from the first block
	0xe8, 0x20, 0x00, // call first
	// tick: until the timer ticks
	0xf4,       // hlt
	0xb4, 0x43, // mov ah, 0x43
	0xe8, 0x2f, 0x00, // call transfer
	0xb4, 0x42, // mov ah, 0x42
	0xe8, 0x2a, 0x00, // call transfer
	0xe8, 0x1d, 0x00, // call advance
	0x75, 0xf0, // jne tick
	0xeb, 0xeb, // jmp again
	// pass: does function ah with all blocks
	0xe8, 0x0b, 0x00, // call first
	// next:
	0x50,             // push ax
	0xe8, 0x1c, 0x00, // call transfer
	0x58,             // pop ax
	0xe8, 0x0e, 0x00, // call advance
	0x75, 0xf6, // jne next
	0xc3, // ret
	// first:
	0x66, 0x8b, 0x1e, 0x10, 0x7d, // mov ebx, dword [lba]
	0x66, 0x8b, 0x0e, 0x14, 0x7d, // mov ecx, dword [blocks]
	0xc3, // ret
	// advance:
	0x66, 0x81, 0xc3, 0x40, 0x00, 0x00, 0x00, // add ebx, 0x40
	0x66, 0x49, // dec ecx
	0xc3, // ret
	// transfer: does function ah with the block at ebx
	0x26, 0x66, 0x89, 0x1e, 0x00, 0x00, // mov dword es:[0], ebx
	0x66, 0x89, 0x1e, 0x08, 0x7d, // mov dword [packet.lba], ebx
	0x80, 0xfc, 0x42, // cmp ah, 0x42
	0xc6, 0x06, 0x07, 0x7d, 0x10, // mov byte [packet.segment+1], 0x10
	0x75, 0x05, // jne go
	0xc6, 0x06, 0x07, 0x7d, 0x20, // mov byte [packet.segment+1], 0x20
	// go:
	0x66, 0x60, // pushad
	0xb0, 0x00, // mov al, 0x0
	0x8a, 0x16, 0x19, 0x7d, // mov dl, byte [drive]
	0xbe, 0x00, 0x7d, // mov si, packet
	0xcd, 0x13, // int 0x13
	0x66, 0x61, // popad
	0xbe, 0x20, 0x7d, // mov si, ioError
	0x72, 0x26, // jc fail
	0x80, 0xfc, 0x42, // cmp ah, 0x42
	0x75, 0x20, // jne ok
	0x66, 0x51, // push ecx
	0x1e,                               // push ds
	0x66, 0x0f, 0xb7, 0x0e, 0x02, 0x7d, // movzx ecx, word [packet.sectors]
	0xc1, 0xe1, 0x07, // shl cx, 0x7
	0xb8, 0x00, 0x20, // mov ax, 0x2000
	0x8e, 0xd8, // mov ds, ax
	0x31, 0xf6, // xor si, si
	0x31, 0xff, // xor di, di
	0x66, 0xf3, 0xa7, // repz cmps dword ds:[si], dword es:[di]
	0x1f,       // pop ds
	0x66, 0x59, // pop ecx
	0xbe, 0x40, 0x7d, // mov si, mismatch
	0x75, 0x01, // jne fail
	// ok:
	0xc3, // ret
	// fail:
	0xe8, 0x03, 0x00, // call print
	// halt:
	0xf4,       // hlt
	0xeb, 0xfd, // jmp halt
	// print: sends the string at si to COM1
	0xba, 0xfd, 0x03, // mov dx, 0x3fd
	// busy:
	0xec,       // in al, dx
	0xa8, 0x20, // test al, 0x20
	0x74, 0xfb, // je busy
	0xb2, 0xf8, // mov dl, 0xf8
	0xac,       // lods al, byte ds:[si]
	0xee,       // out dx, al
	0x84, 0xc0, // test al, al
	0x75, 0xf0, // jne print
	0xc3, // ret
}
