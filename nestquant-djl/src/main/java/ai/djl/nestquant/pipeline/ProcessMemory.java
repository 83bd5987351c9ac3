package ai.djl.nestquant.pipeline;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * What the operating system says about the memory of this process.
 *
 * <p>Stateless and safe for concurrent use.
 */
public final class ProcessMemory {

    /** Linux; other systems do not have it. */
    private static final Path STATUS = Path.of("/proc/self/status");

    private static final Path CLEAR = Path.of("/proc/self/clear_refs");

    private static final Path MEMORY = Path.of("/proc/meminfo");

    private static final String PEAK = "VmHWM:";
    private static final String AVAILABLE = "MemAvailable:";

    private ProcessMemory() {}

    /**
     * Returns the most memory the process has held, in bytes: heap, native arrays, code and mapped
     * files.
     *
     * @return the peak resident set size, or -1 where the operating system does not tell
     */
    public static long peakResidentBytes() {
        try {
            return Files.isReadable(STATUS) ? peak(Files.readAllLines(STATUS)) : -1;
        } catch (IOException e) {
            return -1;
        }
    }

    /** Lets the peak begin anew from what is held now, where the operating system can do that. */
    static void resetPeak() {
        System.gc(); // what has been freed by then is no part of it
        try {
            if (Files.isWritable(CLEAR)) {
                Files.writeString(CLEAR, "5");
            }
        } catch (IOException ignored) {
            // the peak goes on from before, which is what other systems do
        }
    }

    /**
     * Refuses what the memory that is free cannot hold, where the operating system tells.
     *
     * @param bytes what is needed
     * @param what for what, for the message
     * @throws IllegalStateException if there is less, with both sizes
     */
    static void require(long bytes, String what) {
        long free = -1;
        try {
            free = Files.isReadable(MEMORY) ? value(Files.readAllLines(MEMORY), AVAILABLE) : -1;
        } catch (IOException ignored) {
            // unknown, as on other systems
        }
        if (free >= 0 && bytes > free) {
            throw new IllegalStateException(
                    String.format(
                            Locale.ROOT,
                            "%s need %.1f GB, but only %.1f GB of memory are free",
                            what,
                            bytes / 1e9,
                            free / 1e9));
        }
    }

    static long peak(List<String> status) {
        return value(status, PEAK);
    }

    /** Reads a line such as {@code VmHWM: 123456 kB}. */
    private static long value(List<String> status, String key) {
        for (String line : status) {
            String[] fields = line.split("\\s+");
            if (fields.length == 3 && fields[0].equals(key) && fields[2].equals("kB")) {
                return Long.parseLong(fields[1]) * 1024;
            }
        }
        return -1;
    }
}
