/** Factorisations of symmetric matrices. Depends on nothing but {@code java.base}. */
package ai.djl.nestquant.linalg;
