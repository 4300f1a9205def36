/* own.h - a kernel of your own beside ours: bench_conv --own FILE.c

   FILE.c includes this header and defines own_forward, and own_prepare and own_release if it wants
   them. bench_conv compiles it with $CC (cc) -O3 -march=native into a shared object, checks every
   result bit by bit, and measures it in the same rounds as the library's kernels, one thread each, in
   the class int8. bench/own_example.c is one to start from. */
#ifndef BENCH_OWN_H_INCLUDED
#define BENCH_OWN_H_INCLUDED

#include <stdint.h>

enum {
    OWN_BEHIND = 4096 /* readable bytes behind weights and images, all 0 */
};

/* A forward convolution of folded integers, -127 .. 127 (see mls_conv.h, HOW IT IS FAST):
       out[n][y][x][co] = (float)sum * scale, where sum is that of
       weights[co][ky][kx][ci] * images[n][y stride + ky][x stride + kx][ci] over ky, kx, ci
   and fits 32 bits. */
typedef struct own_call {
    int32_t n, h, w, c;     /* images, with their padding, which is 0 */
    int32_t oh, ow, oc;     /* outputs */
    int32_t kh, kw, stride; /* taps, and steps of both directions */
    const int8_t *images;   /* [n][h][w][c] */
    const int8_t *weights;  /* [oc][kh][kw][c] */
    float scale;
    float *out;     /* [n][oh][ow][oc] */
    void *prepared; /* what own_prepare returned */
} own_call;

/* Before the clock starts: packs what it likes. */
void *own_prepare(const own_call *call);
/* On the clock. */
void own_forward(const own_call *call);
/* Gives back what own_prepare took. */
void own_release(const own_call *call);

typedef struct own_library {
    void *handle;
    void *(*prepare)(const own_call *call); /* null: there is none */
    void (*forward)(const own_call *call);
    void (*release)(const own_call *call);
} own_library;

#ifdef BENCH_H_INCLUDED
#if defined(__unix__)
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

/* Compiles path and takes its functions, or says why not and exits. */
static void own_open(own_library *own, const char *path)
{
    const char *cc = getenv("CC");
    char object[] = "/tmp/bench_own_XXXXXX";
    int file = mkstemp(object), state = 1;
    pid_t child = file < 0 ? -1 : fork();
    if (!cc || !*cc) cc = "cc";
    if (child == 0) {
        execlp(cc, cc, "-O3", "-march=native", "-shared", "-fPIC", "-I.", path, "-o", object, "-lm",
               (char *)0);
        _exit(127);
    }
    if (file >= 0) close(file);
    if (child < 0 || waitpid(child, &state, 0) != child || state != 0) {
        fprintf(stderr, "--own %s: %s does not compile it\n", path, cc);
        if (file >= 0) unlink(object);
        exit(2);
    }
    own->handle = dlopen(object, RTLD_NOW | RTLD_LOCAL);
    unlink(object);
    if (own->handle) {
        /* a data pointer is none to a function in C, but in POSIX it is */
        *(void **)&own->prepare = dlsym(own->handle, "own_prepare");
        *(void **)&own->forward = dlsym(own->handle, "own_forward");
        *(void **)&own->release = dlsym(own->handle, "own_release");
    }
    if (!own->forward) {
        fprintf(stderr, "--own %s: it has no own_forward\n", path);
        exit(2);
    }
}

static void own_close(own_library *own)
{
    if (own->handle) dlclose(own->handle);
}
#else
static void own_open(own_library *own, const char *path)
{
    (void)own;
    fprintf(stderr, "--own %s: needs a Unix\n", path);
    exit(2);
}
static void own_close(own_library *own)
{
    (void)own;
}
#endif
#endif

#endif /* BENCH_OWN_H_INCLUDED */
