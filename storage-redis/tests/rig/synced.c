/* Notes how much of the file of changes the disk surely has. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int file) {
    char link[64], path[4096];
    struct stat before;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    /* What is written while the sync runs is not promised. */
    int sized = fstat(file, &before);
    int synced = (int) syscall(SYS_fdatasync, file);
    if (synced == 0 && sized == 0 && strstr(path, ".incr.aof") != NULL) {
        char note[32];
        int size = snprintf(note, sizeof note, "%20lld\n", (long long) before.st_size);
        int notes = open("synced", O_CREAT | O_WRONLY, 0600);
        if (notes >= 0) {
            ssize_t written = pwrite(notes, note, (size_t) size, 0);
            (void) written;
            close(notes);
        }
    }
    return synced;
}
