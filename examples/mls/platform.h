/* platform.h - what is not C11, in functions so small that another system can have its own */
#ifndef PROGRAM_PLATFORM_H_INCLUDED
#define PROGRAM_PLATFORM_H_INCLUDED

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#ifdef _WIN32
#include <direct.h>
#include <io.h>
#include <process.h>
#include <sys/locking.h>
#else
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "common.h"

/* What is not C11, in functions so small that another system can have its own. */

/* The only mutable global: a signal handler has nothing else to write to. */
static volatile sig_atomic_t stop_requested;

static void request_stop(int number)
{
    (void)number;
    stop_requested = 1;
}

static bool is_file(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

static bool is_directory(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

#ifdef _WIN32

/* Of the whole process, in milliseconds: Microsoft's clock() is no processor time. */
static double now(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* A request to stop, as below; the system forgets the handler at the first signal. */
static void catch_signals(void)
{
    signal(SIGINT, request_stop);
    signal(SIGTERM, request_stop);
    signal(SIGBREAK, request_stop);
}

static bool is_screen(FILE *stream)
{
    const char *terminal = getenv("TERM");
    return _isatty(_fileno(stream)) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

static int columns(FILE *stream)
{
    const char *text = getenv("COLUMNS");
    int said = text ? atoi(text) : 0;
    (void)stream;
    return said < 1 || said > 1000 ? 80 : said;
}

static bool is_separator(char c)
{
    return c == '/' || c == '\\';
}

static bool make_directory(const char *path)
{
    size_t length = strlen(path);
    return (length && path[length - 1] == ':') || _mkdir(path) == 0 || errno == EEXIST;
}

static bool can_read(const char *folder)
{
    return _access(folder, 4) == 0;
}

static bool can_write(const char *folder)
{
    return _access(folder, 2) == 0;
}

static bool same_directory(const char *a, const char *b)
{
    char whole[2][PATH_SIZE + 2];
    return _fullpath(whole[0], a, PATH_SIZE) && _fullpath(whole[1], b, PATH_SIZE) &&
           _stricmp(whole[0], whole[1]) == 0;
}

static bool hold_lock(const char *path, long *holder)
{
    int file = _open(path, _O_RDWR | _O_CREAT | _O_NOINHERIT, _S_IREAD | _S_IWRITE);
    *holder = 0;
    if (file < 0) return false;
    if (_locking(file, _LK_NBLCK, 1) == 0) return true;
    *holder = -1;
    _close(file);
    return false;
}

static bool flush_to_disk(FILE *file)
{
    return fflush(file) == 0 && _commit(_fileno(file)) == 0;
}

static int run_gnuplot(const char *folder)
{
    char back[PATH_SIZE];
    intptr_t status = -1;
    if (!_getcwd(back, sizeof back) || _chdir(folder) != 0) return 126;
    status = _spawnlp(_P_WAIT, "gnuplot", "gnuplot", "plot.gp", (char *)NULL);
    if (_chdir(back) != 0) return 126;
    return status == -1 ? 127 : (int)status;
}

#else

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* From here on a signal is a request that training obeys between two steps, so that it can save
   what it has; before, and where there is nothing to save, it ends the program at once. A second
   Ctrl-C or TERM does so, too. HUP comes twice when a connection is lost, from the shell and from
   the kernel, and XCPU every second: they may come again. A closed pipe must not end a training. */
static void catch_signals(void)
{
    struct sigaction action = {0}, was;
    action.sa_handler = request_stop;
#ifdef SIGXCPU
    sigaction(SIGXCPU, &action, NULL);
#endif
    /* nohup ignores it */
    if (sigaction(SIGHUP, NULL, &was) == 0 && was.sa_handler != SIG_IGN) {
        sigaction(SIGHUP, &action, NULL);
    }
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

/* Whether the line of a stream can be written again and again. */
static bool is_screen(FILE *stream)
{
    const char *terminal = getenv("TERM");
    return isatty(fileno(stream)) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

/* How wide a line for people may be: as the terminal is, and no wider than COLUMNS; 80 without
   either. */
static int columns(FILE *stream)
{
    struct winsize size = {0};
    const char *text = getenv("COLUMNS");
    int said = text ? atoi(text) : 0, seen = 0;
    if (isatty(fileno(stream)) && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0) {
        seen = size.ws_col;
    }
    if (said < 1 || said > 1000) said = seen ? seen : 80;
    return seen && seen < said ? seen : said;
}

static bool make_directory(const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

static bool is_separator(char c)
{
    return c == '/';
}

static bool can_read(const char *folder)
{
    return access(folder, R_OK | X_OK) == 0;
}

static bool can_write(const char *folder)
{
    return access(folder, W_OK | X_OK) == 0;
}

static bool same_directory(const char *a, const char *b)
{
    struct stat s, t;
    return stat(a, &s) == 0 && stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

/* Holds the file at path, made if need be, until the program ends in whatever way. False with the
   process that holds it in holder (-1: another one), or with 0 and errno. A file system without locks has none to
   give, and then nothing is held. */
static bool hold_lock(const char *path, long *holder)
{
    struct flock lock = {0};
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    *holder = 0;
    if (file < 0) return false;
    lock.l_type = F_WRLCK, lock.l_whence = SEEK_SET;
    if (fcntl(file, F_SETLK, &lock) == 0) return true; /* closing the file would let go */
    if (errno != EACCES && errno != EAGAIN) return close(file) == 0;
    if (fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) *holder = (long)lock.l_pid;
    close(file);
    if (*holder == 0) errno = EAGAIN;
    return false;
}

static bool flush_to_disk(FILE *file)
{
    return fflush(file) == 0 && (fsync(fileno(file)) == 0 || errno == EINVAL);
}

/* Runs gnuplot on plot.gp in a folder: 0 when it could, 127 when there is none. */
static int run_gnuplot(const char *folder)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (chdir(folder) != 0 || !freopen("/dev/null", "w", stderr)) _exit(126);
        execlp("gnuplot", "gnuplot", "plot.gp", (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 126;
    return WEXITSTATUS(status);
}

#endif

#endif /* PROGRAM_PLATFORM_H_INCLUDED */
