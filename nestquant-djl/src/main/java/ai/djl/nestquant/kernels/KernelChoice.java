package ai.djl.nestquant.kernels;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/** Which kernels this machine runs unless told otherwise, and on how many threads. */
final class KernelChoice {
    /** Forces kernels: {@code avx512}, {@code avx2}, {@code baseline} or {@code portable}. */
    static final String PROPERTY = "nestquant.kernels";

    private static final Set<String> LEVELS = Set.of("avx512", "avx2", "baseline");

    private KernelChoice() {}

    /**
     * Makes the fastest kernels that this machine can run, or those named.
     *
     * @param name the value of {@link #PROPERTY}, null for the fastest
     * @param threads 1 to {@link Kernels#MAX_THREADS}, the caller's included
     * @return new kernels
     * @throws IllegalStateException if the kernels named cannot run here
     * @throws IllegalArgumentException if there are no kernels of that name
     */
    static Kernels make(String name, int threads) {
        if (name == null || name.isEmpty()) {
            return NativeLibrary.problem() == null
                    ? new NativeKernels(null, threads)
                    : new PortableKernels(threads);
        } else if (name.equals("portable")) {
            return new PortableKernels(threads);
        } else if (LEVELS.contains(name)) {
            return new NativeKernels(name, threads);
        }
        throw new IllegalArgumentException(
                PROPERTY + " is " + name + ", must be avx512, avx2, baseline or portable");
    }

    /**
     * Returns the number of physical cores, at most the processors given to this JVM: two threads
     * of one core share the units that multiply.
     *
     * @return 1 to {@link Kernels#MAX_THREADS}
     */
    static int cores() {
        int processors = Runtime.getRuntime().availableProcessors();
        int cores = linuxCores(Path.of("/sys/devices/system/cpu"));
        return Math.min(cores == 0 ? processors : Math.min(cores, processors), Kernels.MAX_THREADS);
    }

    /** Returns the number of different cores of the processors listed, 0 where none is. */
    private static int linuxCores(Path folder) {
        Set<String> cores = new HashSet<>();
        try (DirectoryStream<Path> processors = Files.newDirectoryStream(folder, "cpu[0-9]*")) {
            for (Path processor : processors) {
                Path siblings = processor.resolve("topology/thread_siblings_list");
                if (Files.isReadable(siblings)) {
                    cores.add(Files.readString(siblings));
                }
            }
        } catch (IOException e) {
            return 0; // no such system: all processors count
        }
        return cores.size();
    }

    /** Starts the threads of {@link Kernels#best} when they are first asked for. */
    static final class Shared {
        static final Kernels KERNELS = make(System.getProperty(PROPERTY), cores());

        private Shared() {}
    }
}
