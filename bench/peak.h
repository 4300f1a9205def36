/* peak.h - measured peaks of the multiply-accumulate instructions, in GMAC/s of one thread. */
#ifndef PEAK_H_INCLUDED
#define PEAK_H_INCLUDED

#include "bench.h"

/* The rates hold for the clock at this moment: other machines in the same box move it. */
struct bench_peak {
    const char *name;
    double (*measure)(void);
};

/* Long enough for the clock, short enough to fall between two interruptions. */
#define BENCH_PEAK_SECONDS 2e-3
#define BENCH_PEAK_RUNS    9

/* GMAC/s of a loop with macs multiply-accumulates in each iteration: the best of several runs. */
static inline double bench_peak_time(void (*loop)(long count, const void *data), double macs)
{
    /* Two operands of 64 bytes: neither zero, which some machines run at a higher clock, nor, as
       fp32 or as pairs of bf16, anything special. */
    uint32_t data[32];
    long count = 1000;
    double best = 0;
    for (uint32_t i = 0; i < 32; i++) {
        data[i] = 0x3e913ea7u + i * 0x00050003u + (i % 2 ? 0x80000000u : 0) + (i % 4 ? 0x8000u : 0);
    }
    for (int run = 0; run < BENCH_PEAK_RUNS;) {
        double start = bench_now();
        loop(count, data);
        double seconds = bench_now() - start;
        if (seconds < BENCH_PEAK_SECONDS && count < 1L << 30) {
            count *= 2;
            continue;
        }
        double rate = (double)count * macs / seconds * 1e-9;
        best = rate > best ? rate : best;
        run++;
    }
    return best;
}

/* The loops are assembly: nothing to hoist, spill or drop. Twelve accumulators hide the latency of
   most instructions here, fourteen that of the slowest. */
#define BENCH_PEAK_12(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11)
#define BENCH_PEAK_14(f) BENCH_PEAK_12(f) f(12) f(13)

#if defined __GNUC__ && defined __x86_64__

#include <cpuid.h>

/* clang-format off */
#define BENCH_PEAK_X86(name, width, sums, macs, ready, load, clear, step, leave)                 \
    static inline void bench_loop_##name(long count, const void *data)                           \
    {                                                                                            \
        static const int16_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};        \
        __asm__ volatile(load(width) BENCH_PEAK_##sums(clear)                                    \
                         ".p2align 5\n1:\n\t" BENCH_PEAK_##sums(step)                            \
                         "dec %0\n\tjnz 1b\n\t" leave                                            \
                         : "+r"(count)                                                           \
                         : "r"(data), "r"(ones)                                                  \
                         : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",       \
                           "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",   \
                           "xmm14", "xmm15");                                                    \
    }                                                                                            \
    static inline double bench_peak_##name(void)                                                 \
    {                                                                                            \
        return ready ? bench_peak_time(bench_loop_##name, sums * macs) : 0;                      \
    }

/* Operands in 14 and 15, accumulators below; with twelve of these a temporary in 12, ones in 13. */
#define BENCH_SSE_LOAD(width) \
    "movups (%1), %%xmm14\n\tmovups 64(%1), %%xmm15\n\tmovups (%2), %%xmm13\n\t"
#define BENCH_AVX_LOAD(width)                                                        \
    "vmovups (%1), %%" width "mm14\n\tvmovups 64(%1), %%" width "mm15\n\t" \
    "vmovups (%2), %%ymm13\n\t"
#define BENCH_SSE_CLEAR(i) "pxor %%xmm" #i ", %%xmm" #i "\n\t"
#define BENCH_AVX_CLEAR(i) "vpxor %%xmm" #i ", %%xmm" #i ", %%xmm" #i "\n\t"

#define BENCH_FMA_512(i)    "vfmadd231ps %%zmm14, %%zmm15, %%zmm" #i "\n\t"
#define BENCH_FMA_256(i)    "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #i "\n\t"
#define BENCH_BUSD_512(i)   "vpdpbusd %%zmm14, %%zmm15, %%zmm" #i "\n\t"
#define BENCH_BUSD_256(i)   "vpdpbusd %%ymm14, %%ymm15, %%ymm" #i "\n\t"
#define BENCH_BUSD_VEX(i)   "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" #i "\n\t"
#define BENCH_WSSD_512(i)   "vpdpwssd %%zmm14, %%zmm15, %%zmm" #i "\n\t"
#define BENCH_WSSD_256(i)   "vpdpwssd %%ymm14, %%ymm15, %%ymm" #i "\n\t"
#define BENCH_WSSD_VEX(i)   "%{vex%} vpdpwssd %%ymm14, %%ymm15, %%ymm" #i "\n\t"
#define BENCH_BF16_512(i)   "vdpbf16ps %%zmm14, %%zmm15, %%zmm" #i "\n\t"
#define BENCH_UBS_256(i)                      \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm12\n\t" \
    "vpmaddwd %%ymm13, %%ymm12, %%ymm12\n\t"   \
    "vpaddd %%ymm12, %%ymm" #i ", %%ymm" #i "\n\t"
#define BENCH_WD_256(i)                      \
    "vpmaddwd %%ymm14, %%ymm15, %%ymm12\n\t" \
    "vpaddd %%ymm12, %%ymm" #i ", %%ymm" #i "\n\t"
/* Without AVX a product overwrites an operand: the copy is part of the price. */
#define BENCH_UBS_128(i)              \
    "movdqa %%xmm15, %%xmm12\n\t"     \
    "pmaddubsw %%xmm14, %%xmm12\n\t"  \
    "pmaddwd %%xmm13, %%xmm12\n\t"    \
    "paddd %%xmm12, %%xmm" #i "\n\t"
#define BENCH_WD_128(i)             \
    "movdqa %%xmm15, %%xmm12\n\t"   \
    "pmaddwd %%xmm14, %%xmm12\n\t"  \
    "paddd %%xmm12, %%xmm" #i "\n\t"
/* clang-format on */

/* Not every compiler knows this one's name. The system's part is that of AVX2. */
static inline int bench_has_avxvnni(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
           (a >> 4 & 1);
}

static inline int bench_has_vnni512(void)
{
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl");
}

#define BENCH_HAS(feature) __builtin_cpu_supports(feature)
#define BENCH_AVX(name, width, sums, macs, ready, step)                                   \
    BENCH_PEAK_X86(name, width, sums, macs, ready, BENCH_AVX_LOAD, BENCH_AVX_CLEAR, step, \
                   "vzeroupper")
#define BENCH_SSE(name, macs, ready, step) \
    BENCH_PEAK_X86(name, "x", 12, macs, ready, BENCH_SSE_LOAD, BENCH_SSE_CLEAR, step, "")

BENCH_AVX(fp32_512, "z", 14, 16, BENCH_HAS("avx512f"), BENCH_FMA_512)
BENCH_AVX(fp32_256, "y", 14, 8, (BENCH_HAS("fma") && BENCH_HAS("avx2")), BENCH_FMA_256)
BENCH_AVX(dpbusd_512, "z", 14, 64, bench_has_vnni512(), BENCH_BUSD_512)
BENCH_AVX(dpbusd_evex, "y", 14, 32, bench_has_vnni512(), BENCH_BUSD_256)
BENCH_AVX(dpbusd_vex, "y", 14, 32, bench_has_avxvnni(), BENCH_BUSD_VEX)
BENCH_AVX(dpwssd_512, "z", 14, 32, bench_has_vnni512(), BENCH_WSSD_512)
BENCH_AVX(dpwssd_evex, "y", 14, 16, bench_has_vnni512(), BENCH_WSSD_256)
BENCH_AVX(dpwssd_vex, "y", 14, 16, bench_has_avxvnni(), BENCH_WSSD_VEX)
BENCH_AVX(dpbf16_512, "z", 14, 32, BENCH_HAS("avx512bf16"), BENCH_BF16_512)
BENCH_AVX(maddubs_256, "y", 12, 32, BENCH_HAS("avx2"), BENCH_UBS_256)
BENCH_AVX(maddwd_256, "y", 12, 16, BENCH_HAS("avx2"), BENCH_WD_256)
BENCH_SSE(maddubs_128, 16, BENCH_HAS("ssse3"), BENCH_UBS_128)
BENCH_SSE(maddwd_128, 8, BENCH_HAS("sse2"), BENCH_WD_128)

/* Either encoding, whichever the processor has. */
static inline double bench_peak_dpbusd_256(void)
{
    return bench_has_avxvnni() ? bench_peak_dpbusd_vex() : bench_peak_dpbusd_evex();
}

static inline double bench_peak_dpwssd_256(void)
{
    return bench_has_avxvnni() ? bench_peak_dpwssd_vex() : bench_peak_dpwssd_evex();
}

#if defined __linux__
/* Tiles need the system's consent, once for each process. */
static inline int bench_has_amx(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    long result;
    if (!BENCH_HAS("avx512f") || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d >> 24 & 3) != 3) {
        return 0;
    }
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(158L), "D"(0x1023L), "S"(18L)
                     : "rcx", "r11", "memory");
    return result == 0;
}

#define BENCH_TDP(i) "tdpbssd %%tmm7, %%tmm6, %%tmm" #i "\n\t"
#define BENCH_TZ(i)  "tilezero %%tmm" #i "\n\t"
#define BENCH_6(f)   f(0) f(1) f(2) f(3) f(4) f(5)

/* All eight tiles have 16 rows of 64 bytes; twice six products, as only eight tiles exist. */
static inline void bench_loop_amx(long count, const void *data)
{
    uint8_t config[64] = {1};
    for (int i = 0; i < 8; i++) config[16 + 2 * i] = 64, config[48 + i] = 16;
    /* A stride of 0: all rows are alike. */
    __asm__ volatile("ldtilecfg (%2)\n\ttileloadd (%1,%3,1), %%tmm6\n\t"
                     "tileloadd 64(%1,%3,1), %%tmm7\n\t" BENCH_6(BENCH_TZ) "1:\n\t" BENCH_6(
                         BENCH_TDP) BENCH_6(BENCH_TDP) "dec %0\n\tjnz 1b\n\ttilerelease"
                     : "+r"(count)
                     : "r"(data), "r"(config), "r"(0L)
                     : "cc", "memory");
}

static inline double bench_peak_amx(void)
{
    return bench_has_amx() ? bench_peak_time(bench_loop_amx, 12 * 16 * 16 * 64) : 0;
}
#else
static inline double bench_peak_amx(void)
{
    return 0;
}
#endif

static const struct bench_peak bench_peaks[] = {{"fp32.512", bench_peak_fp32_512},
                                                {"fp32.256", bench_peak_fp32_256},
                                                {"dpbusd.512", bench_peak_dpbusd_512},
                                                {"dpbusd.256", bench_peak_dpbusd_256},
                                                {"dpwssd.512", bench_peak_dpwssd_512},
                                                {"dpwssd.256", bench_peak_dpwssd_256},
                                                {"maddubs.256", bench_peak_maddubs_256},
                                                {"maddubs.128", bench_peak_maddubs_128},
                                                {"maddwd.256", bench_peak_maddwd_256},
                                                {"maddwd.128", bench_peak_maddwd_128},
                                                {"dpbf16.512", bench_peak_dpbf16_512},
                                                {"amx.s8", bench_peak_amx},
                                                {0, 0}};

#elif defined __GNUC__ && defined __aarch64__

/* clang-format off */
#define BENCH_PEAK_ARM(name, macs, step)                                                          \
    static inline void bench_loop_##name(long count, const void *data)                            \
    {                                                                                             \
        __asm__ volatile("ldr q30, [%1]\n\tldr q31, [%1, #64]\n\t" BENCH_PEAK_12(BENCH_ARM_CLEAR) \
                         ".p2align 5\n1:\n\t" BENCH_PEAK_12(step)                                 \
                         "subs %0, %0, #1\n\tb.ne 1b"                                             \
                         : "+r"(count)                                                            \
                         : "r"(data)                                                              \
                         : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8",  \
                           "v9", "v10", "v11", "v30", "v31");                                     \
    }                                                                                             \
    static inline double bench_peak_##name(void)                                                  \
    {                                                                                             \
        return bench_peak_time(bench_loop_##name, 12 * macs);                                     \
    }
/* clang-format on */

#define BENCH_ARM_CLEAR(i) "movi v" #i ".2d, #0\n\t"
#define BENCH_FMLA(i)      "fmla v" #i ".4s, v30.4s, v31.4s\n\t"
#define BENCH_SMLAL(i)     "smlal v" #i ".8h, v30.8b, v31.8b\n\t" /* s8 products, 16-bit sums */
#define BENCH_SDOT(i)      "sdot v" #i ".4s, v30.16b, v31.16b\n\t"

BENCH_PEAK_ARM(fmla, 4, BENCH_FMLA)
BENCH_PEAK_ARM(smlal, 8, BENCH_SMLAL)
#ifdef __ARM_FEATURE_DOTPROD
BENCH_PEAK_ARM(sdot, 16, BENCH_SDOT)
#endif

static const struct bench_peak bench_peaks[] = {{"fmla", bench_peak_fmla},
#ifdef __ARM_FEATURE_DOTPROD
                                                {"sdot", bench_peak_sdot},
#endif
                                                {"smlal", bench_peak_smlal},
                                                {0, 0}};

#else

static const struct bench_peak bench_peaks[] = {{0, 0}};

#endif

enum {
    BENCH_PEAKS = sizeof bench_peaks / sizeof *bench_peaks
};

/* GMAC/s of the instruction, measured at the first call; 0 where it cannot be. */
static inline double bench_peak_get(const char *name)
{
    static double rate[BENCH_PEAKS];
    static int measured[BENCH_PEAKS];
    for (int i = 0; bench_peaks[i].name; i++) {
        if (strcmp(bench_peaks[i].name, name) != 0) continue;
        if (!measured[i]) rate[i] = bench_peaks[i].measure(), measured[i] = 1;
        return rate[i];
    }
    return 0;
}

#endif
