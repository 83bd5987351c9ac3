/**
 * Orthogonal rotations that make rows of any length look Gaussian before they are coded.
 *
 * <p>{@link ai.djl.nestquant.rotation.Rotation} is the only entry point; it depends on java.base
 * alone.
 */
package ai.djl.nestquant.rotation;
